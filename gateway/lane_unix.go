//go:build unix && !aix

package gateway

import (
	"net"
	"syscall"
)

// canPeek says that a connection can be looked at without reading from it. Without that there are no lanes: what an
// upstream sends after an answer would be taken for the answer to the next request.
const canPeek = true

// aliveFunc returns what tells whether nothing has come over an idle connection: no data, no end and no error.
func aliveFunc(conn net.Conn) func() bool {
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return func() bool { return false }
	}
	var quiet bool
	var one [1]byte
	peek := func(fd uintptr) bool {
		_, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		quiet = err == syscall.EAGAIN || err == syscall.EWOULDBLOCK
		return true
	}
	return func() bool { return raw.Read(peek) == nil && quiet }
}
