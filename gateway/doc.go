// Package gateway is a reverse proxy that asks before it forwards: one verdict per request, made from one canonical
// path, and exactly that path goes to the upstream. Enforcement and recording are those of [httpauth.Require]; this
// package adds what only a proxy needs: choosing the upstream, cleaning what passes in both directions, and ending
// streams whose token has stopped being valid.
//
// # What an upstream can rely on
//
//   - The path is the upstream's own path followed by the judged path, byte for byte; the query is the client's.
//   - X-Latchward-… headers are ours and nobody else's. X-Forwarded-For holds the client's address as far as it is known
//     and that of the peer; X-Forwarded-Host and -Proto are those of the request, or what a trusted proxy says they were.
//   - Headers that ask to be treated as another request (another method, path, address or length) do not arrive, in any
//     spelling, and neither do trailers, upgrades other than to WebSocket, our cookies, and the credential.
//   - A request that is not safe to repeat is sent once.
//
// # What a client can rely on
//
// Bodies stream in both directions, but for short ones of a known length, which are sent once they have come. The limit
// headers are ours. An answer to a judged request is marked private, because the next client may not be allowed to have
// it. What goes wrong behind the gateway is told as 502 or 504 with a problem that does not name the upstream.
package gateway
