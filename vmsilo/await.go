package main

import (
	"context"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"vmsilo/internal/command"
	"vmsilo/vmsilo/terminal"
	"vmsilo/vmsilo/units"
)

// patience is how long a guest may take to answer before a person is told what is waited for.
const patience = 500 * time.Millisecond

// await waits until a guest is reached, and tells a person what for.
func await(t *task) error {
	answered := make(chan error, 1)
	go func() { answered <- t.reach() }()
	select {
	case err := <-answered:
		return err
	case <-time.After(patience):
	}
	if !terminal.Is(os.Stderr) {
		return <-answered
	}
	return awaitShown(answered, t.name)
}

// awaitShown waits for the answer with a line of progress. A signal ends the wait, and vmsilo: there is no program yet.
func awaitShown(answered <-chan error, name string) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stages := make(chan string)
	go tellStages(ctx, name, stages)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, heeded(unix.SIGINT, unix.SIGTERM, unix.SIGHUP)...)
	defer signal.Stop(signals)
	p := newProgress(os.Stderr)
	defer p.end()
	p.say("waiting for " + name)
	for {
		select {
		case err := <-answered:
			return err
		case stage := <-stages:
			p.say(stage)
		case got := <-signals:
			return &command.Status{Code: 128 + int(got.(syscall.Signal))}
		}
	}
}

// tellStages tells what there is to wait for, each second, as far as systemd can be asked.
func tellStages(ctx context.Context, name string, stages chan<- string) {
	m, err := units.Connect(ctx)
	if err != nil {
		return
	}
	defer m.Close()
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for {
		state, _ := m.State(ctx, name) // what is not known is being started
		select {
		case stages <- stage(name, state, m.Waits(ctx, name)):
		case <-ctx.Done():
			return
		}
		select {
		case <-second.C:
		case <-ctx.Done():
			return
		}
	}
}

// stage tells what who wants a VM waits for: its guest's answer, or the end of its start, which waits for something itself.
func stage(name string, state units.State, waits []string) string {
	switch {
	case state.Paused:
		return name + " is paused: vmsilo resume " + name
	case state.Word == "running":
		return "waiting for the guest of " + name
	case len(waits) > 0:
		return "starting " + name + ": " + strings.Join(waits, ", ")
	}
	return "starting " + name
}
