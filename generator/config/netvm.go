package config

// linkNetVMs tells netvms that they have clients, and clients who their netvms are. A client that is broken by now may be
// running, and counts.
func (c *Config) linkNetVMs() {
	byName := map[string]*VM{}
	for vm := range c.All() {
		byName[vm.Name] = vm
	}
	for vm := range c.All() {
		for n := range vm.Interfaces {
			i := &vm.Interfaces[n]
			// One that is not there is checkDependencies' to report.
			if netvm := byName[i.NetVM]; netvm != nil {
				i.NetVMID, netvm.HasClients = netvm.ID, true
			}
		}
	}
}
