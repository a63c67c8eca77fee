package main

import (
	"net"
	"time"
)

// crosvmSend controls crosvm: one JSON value a packet, the VmRequest of crosvm's vm_control crate.
func crosvmSend(path, request string) error {
	conn, err := net.DialTimeout("unixpacket", path, answerTime)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(answerTime)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte(request)); err != nil {
		return err
	}
	// The answer says that the request was taken; a VMM that is ending may close instead.
	_, err = conn.Read(make([]byte, 4096))
	return err
}
