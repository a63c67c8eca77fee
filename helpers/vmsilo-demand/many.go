package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// perUser is how many of one user may ask at a time: MaxConnectionsPerSource= of the socket, which systemd before version
// 255 does not look at.
const perUser = 64

// tooMany reports whether so many of a user have asked before the one of an instance, and still do. Who asks later counts
// for nothing, so that of any number some are served.
func tooMany(instance string, by peer) (many bool, err error) {
	var d demand
	err = d.connected(func(ctx context.Context) error {
		units, err := d.conn.ListUnitsByPatternsContext(ctx, []string{"activating", "active"}, []string{fmt.Sprintf("vmsilo-demand@*-%d.service", by.uid)})
		before := 0
		for _, u := range units {
			_, other, _ := strings.Cut(u.Name, "@")
			if number(other) < number(instance) {
				before++
			}
		}
		many = before >= perUser
		return err
	})
	return many, err
}

// number returns which connection of the socket it is, which the instance begins with; it ends with the uid. See
// systemd.socket(5), Accept=, and instance_from_socket() of systemd's src/core/socket.c.
func number(instance string) uint64 {
	digits, _, _ := strings.Cut(instance, "-")
	n, _ := strconv.ParseUint(digits, 10, 64)
	return n
}
