package gateway

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
)

var errSwitch = errors.New("it goes over to a protocol that it was not asked for")

// tunnel joins client and upstream, once both have agreed to go over to WebSocket, until the upstream closes its end or
// the request is ended.
func (g *Gateway) tunnel(p *passage, response *http.Response) {
	upstream, ok := response.Body.(io.ReadWriteCloser)
	if !ok || !p.webSocket || !strings.EqualFold(response.Header.Get("Upgrade"), "websocket") {
		_ = response.Body.Close()
		g.failUpstream(p, errSwitch)
		return
	}
	defer upstream.Close()
	stop := context.AfterFunc(p.ctx, func() { _ = upstream.Close() })
	defer stop()
	h := p.w.Header()
	passHeader(h, response.Header)
	client, buffered, err := http.NewResponseController(p.w).Hijack()
	if err != nil {
		g.failUpstream(p, err)
		return
	}
	if err := switchProtocols(buffered.Writer, h); err != nil {
		_ = client.Close()
		return
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		early := io.LimitReader(buffered.Reader, int64(buffered.Reader.Buffered())) // what the server had read ahead
		_, err := io.Copy(upstream, io.MultiReader(early, client))
		closeWriting(upstream, err)
	}()
	_, _ = io.Copy(client, upstream)
	_ = client.Close()
	<-sent
}

func switchProtocols(w *bufio.Writer, h http.Header) error {
	h["Connection"], h["Upgrade"] = []string{"Upgrade"}, []string{"websocket"}
	head := http.Response{StatusCode: http.StatusSwitchingProtocols, ProtoMajor: 1, ProtoMinor: 1, Header: h}
	if err := head.Write(w); err != nil {
		return err
	}
	return w.Flush()
}

// closeWriting tells the upstream that the client has said its last, after which it may still answer; or, when the
// client's end broke, that it is gone.
func closeWriting(upstream io.Closer, err error) {
	if half, ok := upstream.(interface{ CloseWrite() error }); ok && err == nil && half.CloseWrite() == nil {
		return
	}
	_ = upstream.Close()
}
