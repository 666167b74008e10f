// Package httpauth puts Latchward in front of net/http: it reads the credential of a request, asks a
// [latchward.Verifier], and translates the verdict into an answer.
//
// [Require] is middleware for a program's own handlers. [Judge], [WriteVerdict], [Proxies], [Guard] and the identity
// headers are what it is made of, for surfaces that enforce in another way.
package httpauth
