package main

import (
	"errors"
	"time"

	"github.com/godbus/dbus/v5"
)

// service is what is known, and who has asked.
type service struct {
	bus *bus
	// systemd tells how units are, and configurations what is configured.
	systemd        <-chan news
	configurations <-chan *configuration
	// stay is how long the service stays that nobody asks.
	stay time.Duration

	tables tables
	units  units
	config *configuration
	// vms are the objects by the names of the VMs, and values those of the manager's properties.
	vms    map[string]*vm
	values []dbus.Variant
	// known tells that all is known, so that what comes is new.
	known bool
	// subscribers are the unique names of those who have subscribed.
	subscribers map[string]bool
}

// errCutOff is the end of a service that the bus or systemd has left.
var errCutOff = errors.New("the bus or systemd is gone")

// serve answers until nobody asks any more. It takes the name at once, since the bus and systemd have to do then, and the
// calls that come wait until all is known.
func (s *service) serve() error {
	s.tables, s.units, s.vms, s.subscribers = newTables(), units{}, map[string]*vm{}, map[string]bool{}
	if err := s.bus.own(); err != nil {
		return err
	}
	s.config = <-s.configurations
	first, ok := <-s.systemd
	if !ok {
		return errCutOff
	}
	s.units.add(first)
	s.refreshAll()
	s.known = true
	idle := time.NewTimer(s.stay)
	for !s.bus.stuck {
		select {
		case m := <-s.bus.messages:
			if s.take(m) {
				idle.Reset(s.stay)
			}
		case news, ok := <-s.systemd:
			if !ok {
				return errCutOff
			}
			for _, vm := range s.units.add(news) {
				s.refresh(vm)
			}
		case s.config = <-s.configurations:
			s.refreshAll()
		case <-idle.C:
			if len(s.subscribers) == 0 {
				return s.leave()
			}
			// The last one's going starts it again.
		case <-s.bus.conn.Context().Done():
			return errCutOff
		}
	}
	return errStuck
}

// take takes a message, and tells whether it is of somebody who needs the service: a call is, and that a subscriber has gone.
func (s *service) take(m *message) bool {
	if m.kind == dbus.TypeMethodCall {
		body, err := s.answer(m)
		s.bus.reply(m, body, err)
		return true
	}
	// The name, its owner before, and its owner now.
	names, ok := m.strings(3)
	if m.member != "NameOwnerChanged" || !ok || names[2] != "" {
		return false
	}
	gone := names[0]
	subscribed := s.subscribers[gone]
	delete(s.subscribers, gone)
	return subscribed
}

// leave gives the name away, and answers what was asked before that; what is asked later starts the service anew. Who
// subscribes in between has no answer but the bus's, that the service has left.
func (s *service) leave() error {
	released := s.bus.conn.BusObject().Go(ofBus+".ReleaseName", 0, nil, busName).Done
	for {
		select {
		case m := <-s.bus.messages:
			s.last(m)
		case <-released:
			for {
				select {
				case m := <-s.bus.messages:
					s.last(m)
				default:
					return nil
				}
			}
		}
	}
}

// last takes a message when the service is leaving.
func (s *service) last(m *message) {
	if m.member != "Subscribe" {
		s.take(m)
	}
}
