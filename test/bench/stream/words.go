package stream

import "strings"

// words are what names and texts are made of.  The names of Kubernetes fields are not among them.
var words = strings.Fields(`
	storage volume claim pipeline batch worker cluster metric label target selector version resource timeout retry
	cache token bucket stream shard replica leader request response limit queue topic schema table column record
	index vector model feature sample epoch gradient dataset artifact stage trigger event source sink window state
	checkpoint snapshot backup restore policy route header payload cookie session bearer issuer signature digest
	interval threshold percent latency throughput memory processor network interface address namespace annotation`)

// word is one of them, by the generator's random numbers.
func (g *generator) word() string { return words[g.random.IntN(len(words))] }

// sentence has a capital letter and no full stop. Length is in words.
func (g *generator) sentence(length int) string {
	text := make([]string, length)
	for i := range text {
		text[i] = g.word()
	}
	text[0] = strings.ToUpper(text[0][:1]) + text[0][1:]
	return strings.Join(text, " ")
}

// hex is a number of so many digits, as checksums are written.  Its digits are random.
func (g *generator) hex(length int) string {
	digits := make([]byte, length)
	for i := range digits {
		digits[i] = "0123456789abcdef"[g.random.IntN(16)]
	}
	return string(digits)
}
