// Package scim lets an organization's directory, such as Okta or Microsoft Entra ID, keep users and groups as it has
// them: SCIM 2.0 (RFC 7643, RFC 7644) over a [latchward.Service]. Whoever leaves the directory loses their tokens with
// the same request.
//
// The directory acts as a service token that was granted permissions over users and groups by their names; nobody else
// is served. Every change goes through the service, which refuses to let the token give what it does not hold itself.
package scim
