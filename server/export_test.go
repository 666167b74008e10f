package server

// PauseUntil makes a server that stops go on taking requests until the channel is closed.
func (s *Server) PauseUntil(closed <-chan struct{}) { s.pause = func() { <-closed } }
