// Package signin lets people sign in. So far that is with a JWT of the host application: [JWT] turns one into a
// principal, and [MintJWT] makes one for use on the machine itself.
package signin
