// Package gateway is a reverse proxy that asks before it forwards: one verdict per request, made from one canonical
// path, and exactly that path goes to the upstream. Enforcement and recording are those of [httpauth.Require]; this
// package adds what only a proxy needs: choosing the upstream, cleaning what passes in both directions, and ending
// streams whose token has stopped being valid.
package gateway
