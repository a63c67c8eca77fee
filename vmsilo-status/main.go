// Vmsilo-status answers on D-Bus how the VMs are: org.vmsilo1(7).
//
// Synopsis:
//
//	vmsilo-status
//
// Description:
//
// The bus starts it when somebody asks, and it leaves 30 seconds after the last question, unless somebody has subscribed.
// It reads the configuration as vmsilo-generator does, hears from systemd how the units are, and has no right beyond these.
// Nothing that it answers waits for a VM, a guest or systemd: all of it is known by then.
//
// One goroutine owns what is known, and answers; it waits for nobody. One hears systemd, and one reads the configuration,
// and each tells the first what is new.
package main

import (
	"errors"
	"fmt"
	"log"
	"runtime"
	"time"

	"vmsilo/generator/config"
	"vmsilo/internal/command"
)

// stay is how long the service stays that nobody asks.
const stay = 30 * time.Second

func main() {
	// systemd's journal has the time.
	log.SetFlags(0)
	command.Main(run)
}

func run(args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%q is too much: there are no arguments", args[0])
	}
	// One thread at a time: a call that goes from one to another takes longer than its answer.
	runtime.GOMAXPROCS(1)
	conf, err := follow(config.Path())
	if err != nil {
		return fmt.Errorf("following the configuration: %w", err)
	}
	systemd := listen()
	bus, err := connect(patience)
	if err != nil {
		return fmt.Errorf("connecting to the bus: %w", err)
	}
	s := &service{bus: bus, systemd: systemd, configurations: conf, stay: stay}
	if err := s.serve(); err != nil {
		return errors.Join(err, bus.conn.Close())
	}
	return bus.conn.Close()
}
