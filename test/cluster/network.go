package cluster

import (
	"fmt"
	"net/netip"
	"sync"
)

var (
	// podNetwork is the network of the pods. No part of it leads out of the namespace.
	podNetwork = netip.MustParsePrefix("10.203.0.0/16")
	// gateway is the address of this machine in it, where the API server listens too.
	gateway = netip.MustParseAddr("10.203.0.1")
	// addresses is one pool for the process, because its clusters share the network.
	addresses = &pool{used: map[netip.Addr]bool{}, last: gateway}
)

// pool assigns the addresses of pods. It reuses one only after all others, so that no late packet
// can reach a new pod under the address of an old one.
type pool struct {
	mutex sync.Mutex
	used  map[netip.Addr]bool
	last  netip.Addr
}

func (p *pool) allocate() (netip.Addr, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()

	address := p.last
	for {
		if address = address.Next(); !podNetwork.Contains(address.Next()) { // the last one is for broadcasts
			address = gateway.Next()
		}

		if !p.used[address] {
			p.used[address] = true
			p.last = address

			return address, nil
		}

		if address == p.last {
			return netip.Addr{}, fmt.Errorf("all addresses of %s are in use", podNetwork)
		}
	}
}

func (p *pool) release(address netip.Addr) {
	p.mutex.Lock()
	defer p.mutex.Unlock()

	delete(p.used, address)
}
