package main

import (
	"fmt"
	"slices"
	"syscall"
)

// The objects that each connection has from the beginning.
const (
	core   = 0
	client = 1
)

// Methods and events of these and of nodes: pipewire/core.h, client.h and extensions/client-node.h of PipeWire.
const (
	methodHello   = 1
	methodSync    = 2
	methodPong    = 3
	methodError   = 4
	methodCreate  = 6
	methodDestroy = 7

	methodUpdateProperties = 2

	methodGetNode    = 1
	methodUpdate     = 2
	methodPortUpdate = 3
	methodSetActive  = 4
	methodNodeEvent  = 5

	eventDone         = 1
	eventError        = 3
	eventRemoveID     = 4
	eventAddMemory    = 6
	eventRemoveMemory = 7
)

// maxObjects is how many nodes, and other names of these, a device may have. vhost-device-sound has two nodes.
const maxObjects = 32

// direction is that of a stream's ports: spa/utils/defs.h. A stream that records is an input.
type direction uint32

const (
	input  direction = 0
	output direction = 1
)

func (m message) is(object uint32, opcode uint8) bool {
	return m.object == object && m.opcode == opcode
}

func hello(version uint32) message { return newMessage(core, methodHello, intPod(version)) }

// coreSync asks the server to say that it has come so far.
func coreSync() message { return newMessage(core, methodSync, intPod(core), intPod(0)) }

// introduction is what the server is told of the client that it takes this one for.
func (g *gate) introduction() message {
	return newMessage(client, methodUpdateProperties, structPod(dict([][2]string{{"application.name", "VM " + g.vm}})...))
}

// take does what the device asks for, or does not.
func (s *session) take(m message) error {
	values, err := fields(m.payload)
	if err != nil {
		return err
	}
	if len(m.files) > 0 {
		s.tell("the sound device sends files, which PipeWire does not get")
		return nil
	}
	switch m.object {
	case core:
		return s.takeCore(m, values)
	case client:
		// What the client is has been said in its place.
		if m.opcode != methodUpdateProperties {
			s.unknown(m)
		}
		return nil
	}
	s.mu.Lock()
	node, known := s.objects[m.object]
	s.mu.Unlock()
	if !known {
		// It was the server's that has gone.
		return nil
	}
	return s.takeNode(m, node, values)
}

// unknown says that a message is not passed on.
func (s *session) unknown(m message) {
	kind := "a node"
	if m.object <= client {
		kind = []string{"the core", "the client"}[m.object]
	}
	s.tell(fmt.Sprintf("the sound device asks for what it does not get: method %d of %s", m.opcode, kind))
}

func (s *session) takeCore(m message, values []pod) error {
	var first uint32
	if len(values) > 0 {
		first, _ = values[0].int()
	}
	switch m.opcode {
	case methodHello:
		s.mu.Lock()
		defer s.mu.Unlock()
		s.version = first
		return nil
	case methodSync:
		return s.sync(m, values)
	case methodPong:
		return s.send(bare(m, values))
	case methodError:
		return nil
	case methodCreate:
		return s.create(m, values)
	case methodDestroy:
		s.mu.Lock()
		_, known := s.objects[first]
		s.mu.Unlock()
		if known {
			return s.send(bare(m, values))
		}
		return nil
	}
	s.unknown(m)
	return nil
}

// bare returns the message without what is behind its values.
func bare(m message, values []pod) message {
	return message{object: m.object, opcode: m.opcode, number: m.number, payload: structPod(values...).append(nil)}
}

// sync has the server answer when it has done what was asked before, and answers in its place where there is none.
func (s *session) sync(m message, values []pod) error {
	s.mu.Lock()
	there := s.server != nil
	s.mu.Unlock()
	if there {
		return s.send(bare(m, values))
	}
	return s.device.write(newMessage(core, eventDone, values...))
}

// create makes a node that is a stream of sound, and no other object.
func (s *session) create(m message, values []pod) error {
	// The factory, the type of what it makes, that one's version, properties, and the number that it is to have.
	if len(values) != 5 {
		return errPod
	}
	factory, _ := values[0].text()
	kind, _ := values[1].text()
	given, err := values[3].fields()
	id, ok := values[4].int()
	if err != nil || !ok {
		return errPod
	}
	properties, rest, err := undict(given)
	if err != nil || len(rest) > 0 {
		return errPod
	}
	if factory != "client-node" || kind != "PipeWire:Interface:ClientNode" {
		s.tell(fmt.Sprintf("the sound device asks for what it does not get: an object of %q", factory))
		return s.refuse(m, id, syscall.EPERM, "not for a VM")
	}
	stream, refusal := s.direction(properties)
	if refusal != "" {
		s.tell(refusal)
		return s.refuse(m, id, syscall.EPERM, refusal)
	}
	if _, err := s.upstream(); err != nil {
		s.tell(noPipeWire)
		return s.refuse(m, id, syscall.EPIPE, noPipeWire)
	}
	if !s.add(id, object{stream: stream}) {
		return s.refuse(m, id, syscall.ENOSPC, "too many streams, or two of one number")
	}
	values[3] = structPod(dict(s.ofNode(properties, stream))...)
	return s.send(bare(m, values))
}

const noPipeWire = "no PipeWire of the VM's user: the guest plays to nobody, and hears nothing, until it opens its sound again when there is one"

// direction returns the direction of a stream that is asked for, or why there is none.
func (g *gate) direction(properties [][2]string) (direction, string) {
	var class string
	for _, p := range properties {
		if p[0] == "media.class" {
			class = p[1]
		}
	}
	switch {
	case class == "Stream/Output/Audio" && g.playback:
		return output, ""
	case class == "Stream/Output/Audio":
		return 0, "the guest wants to play, which it may not: sound.playback"
	case class == "Stream/Input/Audio" && g.capture:
		return input, ""
	case class == "Stream/Input/Audio":
		return 0, "the guest wants to record, which it may not: sound.capture"
	}
	return 0, fmt.Sprintf("the sound device asks for what it does not get: a node of class %q", class)
}

// refuse tells the device that there is no object of this number, as PipeWire does.
func (s *session) refuse(m message, id uint32, errno syscall.Errno, why string) error {
	fail := newMessage(core, eventError, intPod(id), intPod(m.number), intPod(uint32(-int32(errno))), textPod(why))
	if err := s.device.write(fail); err != nil {
		return err
	}
	return s.device.write(newMessage(core, eventRemoveID, intPod(id)))
}

// takeNode passes on what a node says of itself, its ports and its state.
func (s *session) takeNode(m message, node object, values []pod) error {
	switch {
	case node.alias:
		s.unknown(m)
		return nil
	case m.opcode == methodGetNode:
		return s.alias(m, node, values)
	case m.opcode == methodUpdate:
		// What has changed, the parameters, and what the node is.
		info, err := described(values, 1)
		if err != nil {
			return err
		}
		if values, err = rewrite(values, info, []uint32{kindInt, kindInt, kindLong, kindLong}, func(given [][2]string) [][2]string {
			return s.ofNode(given, node.stream)
		}); err != nil {
			return err
		}
	case m.opcode == methodPortUpdate:
		if len(values) == 0 || !values[0].isNumber(kindInt) {
			return errPod
		}
		if way, _ := values[0].int(); direction(way) != node.stream {
			// Libpipewire has a stream that records offer a way out, too, and does without. None that plays has a way in.
			if node.stream == output {
				s.tell("the sound device asks for what it does not get: a port that records")
			}
			return nil
		}
		info, err := described(values, 3)
		if err != nil {
			return err
		}
		if values, err = rewrite(values, info, []uint32{kindLong, kindLong, kindInt, kindInt}, ofPort); err != nil {
			return err
		}
	case m.opcode == methodSetActive, m.opcode == methodNodeEvent:
	default:
		s.unknown(m)
		return nil
	}
	return s.send(bare(m, values))
}

// alias gives a node another name, under which the device hears of it.
func (s *session) alias(m message, node object, values []pod) error {
	if len(values) != 2 {
		return errPod
	}
	id, ok := values[1].int()
	if !ok {
		return errPod
	}
	if !s.add(id, object{stream: node.stream, alias: true}) {
		return nil
	}
	return s.send(bare(m, values))
}

// add notes an object of the device's, and tells whether there is room for it under this number.
func (s *session) add(id uint32, o object) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, taken := s.objects[id]
	if s.objects == nil || taken || id <= client || len(s.objects) >= maxObjects {
		return false
	}
	s.objects[id] = o
	return true
}

// described returns which of the values of a message describes a node or a port: the last one, behind some numbers, the number of
// the parameters and these.
func described(values []pod, numbers int) (int, error) {
	if len(values) < numbers+2 {
		return 0, errPod
	}
	for _, v := range values[:numbers+1] {
		if !v.isNumber(kindInt) {
			return 0, errPod
		}
	}
	parameters, _ := values[numbers].int()
	last := uint64(numbers) + 1 + uint64(parameters)
	if last != uint64(len(values)-1) {
		return 0, errPod
	}
	return int(last), nil
}

// rewrite replaces the properties in the description of a node or a port, which stand behind numbers of these kinds.
func rewrite(values []pod, at int, kinds []uint32, properties func([][2]string) [][2]string) ([]pod, error) {
	if values[at].kind != kindStruct {
		// None: nothing has changed.
		return values[:at+1], nil
	}
	all, err := values[at].fields()
	if err != nil || len(all) < len(kinds) {
		return nil, errPod
	}
	for n, kind := range kinds {
		if !all[n].isNumber(kind) {
			return nil, errPod
		}
	}
	given, rest, err := undict(all[len(kinds):])
	if err != nil {
		return nil, err
	}
	if len(given) > 0 {
		given = properties(given)
	}
	all = slices.Concat(all[:len(kinds)], dict(given), rest)
	values[at] = structPod(all...)
	return values, nil
}
