package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// attacked is what an attack reports.
type attacked struct {
	Attack   string `json:"attack"`
	Requests int64  `json:"requests"`
	// Answers are those of the webhook; every other request was cut off.
	Answers int64 `json:"answers"`
}

const (
	// attackers is how many connections an attack holds, unless it sets its own number.
	attackers = 400
	// pauseOfAttackers is between two requests of one attacker, which shares the CPU with what is under test.
	pauseOfAttackers = 50 * time.Millisecond
	largeBody        = 5<<20 - 1000
)

// attacks are requests that no API server sends. Each is a whole request, or a part after which the
// client waits.
var attacks = map[string]struct {
	clients int
	request func() string
}{
	"containers": {4, func() string { return posted(podOf(`"containers":[` + repeated("{}", largeBody) + `]`)) }},
	"null":       {4, func() string { return posted(podOf(`"containers":[` + repeated("null", largeBody) + `]`)) }},
	"mounts": {4, func() string {
		return posted(podOf(`"containers":[{"volumeMounts":[` + repeated("{}", largeBody) + `]}]`))
	}},
	"names": {4, func() string {
		return posted(`{"metadata":{"labels":{"pipeline-storage":"enabled"},` +
			`"annotations":{"pipeline-storage.io/containers":"` + numbered(200_000) + `"}}}`)
	}},
	"nonsense": {8, func() string { return posted(`{}`) }},
	"kind":     {4, func() string { return headOf(1<<20+11) + `{"kind":"` + strings.Repeat("\x7f", 1<<20) + `"}` }},
	"slow":     {attackers, func() string { return headOf(1_048_000) + strings.Repeat(" ", 1_000_000) }},
	"trickle":  {attackers, func() string { return headOf(5<<20) + " " }},
	"headers":  {attackers, func() string { return "POST /inject HTTP/1.1\r\nHost: x\r\n" }},
	"silent":   {600, func() string { return "" }},
}

// attack sends requests to HOST:PORT for a while: attack NAME ADDRESS DURATION.
func attack(args []string, _ io.Writer) (any, error) {
	chosen, ok := attacks[args[0]]
	if !ok {
		return nil, fmt.Errorf("%q is no attack", args[0])
	}
	duration, err := time.ParseDuration(args[2])
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), duration)
	defer cancel()
	result := attacked{Attack: args[0]}
	request := chosen.request()
	var clients sync.WaitGroup
	for range chosen.clients {
		clients.Go(func() {
			for ctx.Err() == nil {
				atomic.AddInt64(&result.Requests, 1)
				if sendTo(ctx, args[1], request) {
					atomic.AddInt64(&result.Answers, 1)
				}
				time.Sleep(pauseOfAttackers)
			}
		})
	}
	clients.Wait()
	return result, nil
}

// sendTo sends a text on a connection of its own and reports whether the other side answered.
func sendTo(ctx context.Context, address, text string) bool {
	dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // an attacker does not care
	connection, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	defer connection.Close()
	stop := context.AfterFunc(ctx, func() { _ = connection.Close() })
	defer stop()
	if _, err := io.WriteString(connection, text); err != nil {
		return false
	}
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return err == nil
}

func headOf(length int) string {
	return fmt.Sprintf("POST /inject HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: "+
		"close\r\nContent-Length: %d\r\n\r\n", length)
}

// posted is the whole request for a review of a pod.
func posted(pod string) string {
	review := `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"u",` +
		`"kind":{"version":"v1","kind":"Pod"},"namespace":"default","operation":"CREATE","object":` + pod + `}}`
	return headOf(len(review)) + review
}

func podOf(spec string) string {
	return `{"metadata":{"labels":{"pipeline-storage":"enabled"}},"spec":{` + spec + `}}`
}

// repeated is this many bytes of an item with commas between.
func repeated(item string, bytes int) string {
	return strings.TrimSuffix(strings.Repeat(item+",", bytes/(len(item)+1)), ",")
}

// numbered is a list of this many bytes of different names.
func numbered(bytes int) string {
	var names strings.Builder
	for i := 0; names.Len() < bytes; i++ {
		fmt.Fprintf(&names, "%d,", i)
	}
	return strings.TrimSuffix(names.String(), ",")
}
