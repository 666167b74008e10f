//go:build !unix || aix

package gateway

import "net"

const canPeek = false

func aliveFunc(net.Conn) func() bool { return func() bool { return false } }
