//go:build !linux

package journal

import (
	"errors"
	"os"
)

// canMap says no: what is known about stores into mapped files is known of Linux only.
func canMap(string) bool { return false }

func (r *ring) mapFile(int) error { return errors.ErrUnsupported }

func (r *ring) populate() {}

func datasync(file *os.File) error { return file.Sync() }
