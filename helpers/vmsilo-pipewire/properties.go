package main

import "slices"

// maxProperties bounds how many a node or a port may have.
const maxProperties = 256

// kept are properties of nodes and ports that the device may choose: how sound is to flow, and not where to, nor under whose name.
var kept = []string{
	"media.type", "media.role", "node.latency", "node.rate", "node.autoconnect", "node.want-driver", "node.async",
	"stream.is-live", "object.register",
	"port.name", "port.id", "format.dsp", "audio.channel",
}

// ofNode returns the properties that a node has in the place of those that the device gives it.
func (g *gate) ofNode(given [][2]string, stream direction) [][2]string {
	category, class := "Playback", "Stream/Output/Audio"
	if stream == input {
		category, class = "Capture", "Stream/Input/Audio"
	}
	name := "VM " + g.vm
	return append(ofPort(given),
		[2]string{"media.category", category}, [2]string{"media.class", class}, [2]string{"media.name", name},
		[2]string{"node.name", "vmsilo-" + g.vm}, [2]string{"node.description", name}, [2]string{"application.name", name})
}

// ofPort returns which of the properties that the device gives a port it has.
func ofPort(given [][2]string) [][2]string {
	return slices.DeleteFunc(slices.Clone(given), func(p [2]string) bool { return !slices.Contains(kept, p[0]) })
}

// dict returns properties as PipeWire writes them: how many they are, and of each its key and value.
func dict(properties [][2]string) []pod {
	all := []pod{intPod(uint32(len(properties)))}
	for _, p := range properties {
		all = append(all, textPod(p[0]), textPod(p[1]))
	}
	return all
}

// undict returns the properties that all begins with, and what is behind them.
func undict(all []pod) (properties [][2]string, rest []pod, err error) {
	if len(all) == 0 {
		return nil, nil, errPod
	}
	count, ok := all[0].int()
	if !ok || count > maxProperties || int(count)*2 > len(all)-1 {
		return nil, nil, errPod
	}
	for n := range int(count) {
		key, isKey := all[1+2*n].text()
		value, isValue := all[2+2*n].text()
		if !isKey || !isValue {
			return nil, nil, errPod
		}
		properties = append(properties, [2]string{key, value})
	}
	return properties, all[1+2*count:], nil
}
