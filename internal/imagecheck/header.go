package imagecheck

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// sector is how much of either end of a disk is looked at, in bytes: all that says what format it has.
const sector = 512

// header is what a disk says of its format: its first and its last sector.
type header struct{ first, last []byte }

// headerOf reads the header of a disk. One that is shorter has a shorter header.
func headerOf(disk *os.File) (header, error) {
	size, err := disk.Seek(0, io.SeekEnd)
	if err != nil {
		return header{}, err
	}
	return readHeader(int(disk.Fd()), size)
}

func readHeader(file int, size int64) (h header, err error) {
	length := min(sector, size)
	if h.first, err = read(file, 0, length); err != nil {
		return h, err
	}
	h.last, err = read(file, size-length, length)
	return h, err
}

func read(file int, at, length int64) ([]byte, error) {
	part := make([]byte, length)
	n, err := unix.Pread(file, part, at)
	if err == nil && n != len(part) {
		err = io.ErrUnexpectedEOF
	}
	return part, err
}

// formats are the headers that a VMM looks for in a disk whose format it has not been told: detect_image_type() of
// crosvm's disk crate and of cloud-hypervisor's block crate, and bdrv_probe of the drivers in QEMU's block/. LUKS is not
// one of them: it refers to no file, and guests have good reasons to write it.
var formats = []struct {
	name   string
	atEnd  bool
	offset int
	magic  string
}{
	{"qcow2", false, 0, "QFI\xfb"},
	{"QED", false, 0, "QED\x00"},
	{"VMDK", false, 0, "KDMV"},
	{"VMDK", false, 0, "COWD"},
	{"VMDK", false, 0, "# Disk DescriptorFile"},
	{"VDI", false, 64, "\x7f\x10\xda\xbe"},
	{"VHD", false, 0, "conectix"},
	{"VHD", true, 0, "conectix"},
	{"VHDX", false, 0, "vhdxfile"},
	{"Parallels", false, 0, "WithoutFreeSpace"},
	{"Parallels", false, 0, "WithouFreSpacExt"},
	{"Bochs", false, 0, "Bochs Virtual HD Image"},
	{"cloop", false, 0, "#!/bin/sh\n#V2.0 Format\n"},
	{"DMG", true, 0, "koly"},
	{"a composite disk", false, 0, "composite_disk\x1d"},
	{"an Android sparse image", false, 0, "\x3a\xff\x26\xed"},
	{"zstd", false, 0, "\x28\xb5\x2f\xfd"},
}

// format returns the format that a header is of, or "" when it is of none that is known.
func (h header) format() string {
	for _, f := range formats {
		part := h.first
		if f.atEnd {
			part = h.last
		}
		if len(part) >= f.offset && bytes.HasPrefix(part[f.offset:], []byte(f.magic)) {
			return f.name
		}
	}
	return ""
}

// The header of docs/interop/qcow2.rst of QEMU: where its numbers are, which have their high byte first.
const (
	qcow2Version      = 4
	qcow2Backing      = 8
	qcow2Incompatible = 72
	qcow2Length       = 104
	// qcow2External is the bit of what a reader has to know that stands for data in another file.
	qcow2External = 1 << 2
)

// qcow2 returns what is wrong with a disk that is to be a qcow2, in words that follow its name.
func (h header) qcow2() error {
	if h.format() != "qcow2" || len(h.first) < qcow2Length {
		return errors.New("is to be qcow2, and is not")
	}
	if binary.BigEndian.Uint64(h.first[qcow2Backing:]) != 0 {
		return errors.New("has a backing file: a disk has to be one file")
	}
	// Version 2 ends before this; what is there is not in use.
	if binary.BigEndian.Uint32(h.first[qcow2Version:]) > 2 &&
		binary.BigEndian.Uint64(h.first[qcow2Incompatible:])&qcow2External != 0 {
		return errors.New("has its data in another file: a disk has to be one file")
	}
	return nil
}
