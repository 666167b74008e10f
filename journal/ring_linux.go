package journal

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// canMap reports whether stores into a mapped file of the folder never need the disk: file systems that copy on write
// find a new place for each page, and those over a network may lose their server.
func canMap(folder string) bool {
	var fs unix.Statfs_t
	if err := unix.Statfs(folder, &fs); err != nil {
		return false
	}
	switch uint32(fs.Type) {
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.TMPFS_MAGIC, unix.OVERLAYFS_SUPER_MAGIC, unix.F2FS_SUPER_MAGIC:
		return true
	}
	return false
}

// mapFile makes data the memory of the file, for as long as anybody can reach the ring.
func (r *ring) mapFile(size int) error {
	all, err := unix.Mmap(int(r.file.Fd()), 0, ringHeader+size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	r.data = all[ringHeader:]
	runtime.AddCleanup(r, func(all []byte) { _ = unix.Munmap(all) }, all)
	return nil
}

const populateBytes = 1 << 20

// populate makes the pages in front of the head writable: a store into a page that the system has just written back
// may wait for the journal of the file system. Systems before Linux 5.14 do not know how; then it may.
func (r *ring) populate() {
	head := r.head.Load()
	if r.put != nil || head == r.populated {
		return
	}
	r.populated = head
	from := int(head%uint64(len(r.data))) &^ (ringHeader - 1)
	_ = unix.Madvise(r.data[from:min(from+populateBytes, len(r.data))], unix.MADV_POPULATE_WRITE)
}

func datasync(file *os.File) error { return unix.Fdatasync(int(file.Fd())) }
