package main

import "io"

// maxWrite is the most that is written to a vsock at once. Of more than 32 KiB, less what the kernel needs for itself,
// Linux makes a packet in several buffers (virtio_vsock_alloc_skb of linux/virtio_vsock.h, from 6.17 on and in later 6.12),
// and vhost-device-vsock 0.3 drops such a packet without a word.
const maxWrite = 31 << 10

// pieces writes what is longer in several pieces.
type pieces struct{ to io.Writer }

// Write writes all of data, or fails.
func (p pieces) Write(data []byte) (written int, err error) {
	for err == nil && written < len(data) {
		var n int
		n, err = p.to.Write(data[written:min(len(data), written+maxWrite)])
		written += n
	}
	return written, err
}
