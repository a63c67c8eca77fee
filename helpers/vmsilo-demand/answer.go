package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"time"

	"vmsilo/internal/printable"
)

const (
	// patience is how long who asks may take to say for what.
	patience = 3 * time.Second
	// maxName is the longest name of a VM, and maxAnswer the longest answer, both in bytes and without the newline.
	maxName, maxAnswer = 48, 1000
)

// name is what a VM may be named: vmsilo.toml(5). Neither a path nor the name of a unit is made of anything else.
var name = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,46}[a-z0-9])?$`)

// answer serves the connection of by: start starts the VM that is asked for. That the other end is gone by then is no error.
func answer(conn *net.UnixConn, by peer, start func(vm string, by peer) error) error {
	text := "OK"
	vm, err := readName(conn)
	if err == nil {
		err = start(vm, by)
	}
	if err != nil {
		text = oneLine(err.Error())
	}
	if err := conn.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, _ = io.WriteString(conn, text+"\n")
	return nil
}

// readName reads the line with the name of a VM.
func readName(conn *net.UnixConn) (string, error) {
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	line := make([]byte, 0, maxName+1)
	for len(line) < cap(line) {
		n, err := conn.Read(line[len(line):cap(line)])
		line = line[:len(line)+n]
		if vm, _, ok := bytes.Cut(line, []byte("\n")); ok {
			return checkName(string(vm))
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("no name of a VM has come: %w", err)
		} else if err != nil {
			return "", fmt.Errorf("want the name of a VM and a newline, got %q", line)
		}
	}
	return "", fmt.Errorf("no VM has a name that begins with %q", line)
}

func checkName(vm string) (string, error) {
	if !name.MatchString(vm) {
		return "", fmt.Errorf("no VM is named %q", vm)
	}
	return vm, nil
}

// oneLine returns text as an answer.
func oneLine(text string) string {
	text = strings.Map(printable.Rune, text)
	return strings.ToValidUTF8(text[:min(len(text), maxAnswer)], "")
}
