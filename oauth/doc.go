// Package oauth speaks OAuth 2.0 for Latchward: a signed-in person's credential is exchanged for an API token (RFC
// 8693), resource servers ask what a token is good for (RFC 7662), holders end theirs (RFC 7009), and programs find all
// that by themselves (RFC 8414). It decides nothing: it translates, and [latchward.Service] decides.
package oauth
