package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// release is set by the linker for released binaries: -X main.release=v1.2.3
var release string

func version() string {
	if release != "" {
		return release
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

type versionCommand struct{}

func (versionCommand) Run(s *session) error {
	reply := struct {
		Version string `json:"version"`
		Go      string `json:"go"`
		OS      string `json:"os"`
		Arch    string `json:"arch"`
	}{version(), runtime.Version(), runtime.GOOS, runtime.GOARCH}
	if s.cli.Output == "json" {
		return s.print(reply)
	}
	_, err := fmt.Fprintf(s.out, "latchward %s %s %s/%s\n", reply.Version, reply.Go, reply.OS, reply.Arch)
	return err
}
