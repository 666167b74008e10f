// Package extauthz asks for a verdict on every call of a gRPC service: interceptors for servers that are written in Go.
package extauthz
