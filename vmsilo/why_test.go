package main

import "testing"

func TestSpeaksOf(t *testing.T) {
	for line, want := range map[string]bool{
		`chain "FORWARD" of table "ip filter" may drop what wan-22 sends and gets`:                                                   true,
		"hint: firewall-cmd --zone=trusted --add-interface=wan-22 && firewall-cmd --permanent --zone=trusted --add-interface=wan-22": true,
		"hint: ufw route allow in on wan-22":    true,
		"hint: ufw route allow in on my-wan-22": false,
		"hint: ufw route allow in on wan-221":   false,
	} {
		if got := speaksOf(line, "wan-22"); got != want {
			t.Errorf("%q: %v", line, got)
		}
	}
	if speaksOf("two  blanks=", "") {
		t.Error("an interface without a bridge is spoken of")
	}
}
