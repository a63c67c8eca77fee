package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"vmsilo/generator/config"
	"vmsilo/internal/command"
)

// maxRequest is how long the host may take to have a VMM do something.
const maxRequest = 15 * time.Second

// pauseVM has the guest of a VM that runs stand still.
func pauseVM(_, _ io.Writer, args []string) error { return plain("pause", args) }

// resumeVM has it go on.
func resumeVM(_, _ io.Writer, args []string) error { return plain("resume", args) }

// plain asks for what has nothing but a name.
func plain(request string, args []string) error {
	operands, err := parse(flag.NewFlagSet(request, flag.ContinueOnError), args, "NAME")
	if err != nil {
		return err
	}
	return control(operands[0], request)
}

// balloonVM sets how much of its memory the guest gives back.
func balloonVM(_, _ io.Writer, args []string) error {
	operands, err := parse(flag.NewFlagSet("balloon", flag.ContinueOnError), args, "NAME", "SIZE")
	if err != nil {
		return err
	}
	size, err := bytesOf(operands[1])
	if err != nil {
		return err
	}
	return control(operands[0], fmt.Sprint("balloon ", size))
}

// resizeDisk makes a disk of a VM that runs larger.
func resizeDisk(_, _ io.Writer, args []string) error {
	operands, err := parse(flag.NewFlagSet("resize", flag.ContinueOnError), args, "NAME", "DISK", "SIZE")
	if err != nil {
		return err
	}
	size, err := bytesOf(operands[2])
	if err != nil {
		return err
	}
	if strings.ContainsAny(operands[1], " \t\n") {
		return command.Errorf("", "no disk is named %q", operands[1])
	}
	return control(operands[0], fmt.Sprintf("resize %s %d", operands[1], size))
}

func bytesOf(text string) (int64, error) {
	size, ok := config.ParseSize(text)
	if !ok {
		return 0, command.Errorf(`a size is a whole number followed by K, M, G or T, such as 512M`, "%q is not a size", text)
	}
	return size, nil
}

// control has the VMM of a VM that runs do what is asked for: docs/protocol.md, "Control".
func control(name, request string) error {
	if err := wantRunning(name); err != nil {
		return err
	}
	conn, err := connect(name, "vmm")
	if errors.Is(err, errDown) {
		return command.Errorf("systemctl status vmsilo-vmm@"+name+".socket", "VM %q cannot be controlled: %w", name, err)
	} else if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(maxRequest)); err != nil {
		return err
	}
	if _, err := io.WriteString(conn, request+"\n"); err != nil {
		return fmt.Errorf("asking for %q: %w", request, err)
	}
	answer, err := bufio.NewReader(io.LimitReader(conn, maxAnswer)).ReadString('\n')
	switch answer = strings.TrimSpace(answer); {
	case answer == "OK":
		return nil
	case answer != "":
		return command.Errorf("", "VM %q: %s", name, answer)
	}
	return command.Errorf("journalctl --unit=vmsilo-vmm@"+name, "VM %q has not answered: %w", name, err)
}
