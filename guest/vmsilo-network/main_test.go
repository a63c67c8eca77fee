package main

import (
	"os"
	"path/filepath"
	"testing"

	"vmsilo/guest/internal/cmdline"
)

func TestRun(t *testing.T) {
	dir := t.TempDir()
	load := func() (cmdline.Params, error) {
		return cmdline.Parse("vmsilo.ifname=wan,52:00:00:00:00:01 vmsilo.ifname=lan.5,52:00:00:00:00:02 vmsilo.dns=10.0.0.9 " +
			"vmsilo.dns=fd00::9 vmsilo.address=wan,10.0.0.1/31 vmsilo.address=wan,fd00::1/127 vmsilo.gateway=wan,10.0.0.0 " +
			"vmsilo.gateway=wan,fd01::1 vmsilo.mtu=wan,1400 vmsilo.gateway=lan.5,192.0.2.1 " +
			"vmsilo.ifname=clients,52:00:00:00:00:03 vmsilo.address=clients,10.200.0.127/13 vmsilo.address=clients,fd02::7f/48 vmsilo.clients=clients vmsilo.address=../x,10.0.0.5/24")
	}
	for range 2 { // the second run meets the files of the first
		if err := run(load, filepath.Join(dir, "network"), filepath.Join(dir, "resolved"), filepath.Join(dir, "rules")); err != nil {
			t.Fatal(err)
		}
	}
	const base = "[Network]\nDHCP=no\nIPv6AcceptRA=no\nLinkLocalAddressing=ipv6\nLLMNR=no\nConfigureWithoutCarrier=yes\n"
	want := map[string]string{
		"network/70-vmsilo-wan.network": header + "[Match]\nName=wan\n\n[Link]\nRequiredForOnline=no\nMTUBytes=1400\n\n" + base +
			"Address=10.0.0.1/31\nAddress=fd00::1/127\n\n[Route]\nGateway=10.0.0.0\nMetric=1024\n" +
			"\n[Route]\nDestination=fd01::1/128\n\n[Route]\nGateway=fd01::1\nGatewayOnLink=yes\nMetric=1024\n",
		"network/70-vmsilo-lan.5.network": header + "[Match]\nName=lan.5\n\n[Link]\nRequiredForOnline=no\n\n" + base +
			"\n[Route]\nDestination=192.0.2.1/32\n\n[Route]\nGateway=192.0.2.1\nGatewayOnLink=yes\nMetric=1025\n",
		"network/70-vmsilo-clients.network": header + "[Match]\nName=clients\n\n[Link]\nRequiredForOnline=no\n\n" + base +
			"Address=10.200.0.127/13\nAddress=fd02::7f/48\n",
		"resolved/70-vmsilo.conf": header + "[Resolve]\nFallbackDNS=\nDNS=10.0.0.9 fd00::9\n" +
			"DNSStubListenerExtra=10.200.0.127\nDNSStubListenerExtra=fd02::7f\n",
		"rules/router.nft": rules("clients"),
	}
	files, _ := filepath.Glob(dir + "/*/*")
	if len(files) != len(want) {
		t.Errorf("files: %q", files)
	}
	for name, text := range want {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != text {
			t.Errorf("%s: got:\n%s\nwant:\n%s\nerror: %v", name, got, text, err)
		}
	}
}

func TestRunWithoutNetwork(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "none")
	load := func() (cmdline.Params, error) { return cmdline.Parse("quiet vmsilo.ifname=lo,52:00:00:00:00:01") }
	if err := run(load, dir, dir, dir); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("something was written for nothing")
	}
}
