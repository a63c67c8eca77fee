// Package pieces writes to a vsock in pieces that the host's device takes.
package pieces

import "io"

// Max is the most that is written to a vsock at once, in bytes. Of more than 32 KiB, less what the kernel needs for itself,
// Linux makes a packet in several buffers (virtio_vsock_alloc_skb of linux/virtio_vsock.h, from 6.17 on and in later 6.12),
// and vhost-device-vsock 0.3 drops such a packet without a word.
const Max = 31 << 10

// Writer writes what is longer in several pieces.
type Writer struct{ To io.Writer }

// Write writes all of data, or fails.
func (w Writer) Write(data []byte) (written int, err error) {
	for err == nil && written < len(data) {
		var n int
		n, err = w.To.Write(data[written:min(len(data), written+Max)])
		written += n
	}
	return written, err
}
