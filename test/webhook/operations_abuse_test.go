package webhook

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/pipeline-storage/pipeline-storage/test/benchadmission/reviews"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

const (
	jsonType = "application/json"
	// large is more than most pods that etcd accepts.
	large = 2 << 20
)

// odd is a request that no API server sends.
type odd struct {
	method, contentType, body string
	code                      int32
	message                   string
}

func oddRequests(review string) map[string]odd {
	bad := func(body, message string) odd {
		return odd{method: http.MethodPost, contentType: jsonType, body: body, code: http.StatusBadRequest, message: message}
	}
	ofType := func(contentType string) odd {
		return odd{
			method: http.MethodPost, contentType: contentType, body: review, code: http.StatusBadRequest,
			message: "content type",
		}
	}
	return map[string]odd{
		"an empty body": bad("", "no body"),
		"a request to read": {
			method: http.MethodGet, contentType: jsonType, code: http.StatusBadRequest,
			message: "no body",
		},
		"a request to delete, without a type": {method: http.MethodDelete, code: http.StatusBadRequest, message: "no body"},
		"a word":                              bad("garbage", ""),
		"bytes that are no text":              bad("\x00\xff\xfe{\x80", ""),
		"a string":                            bad(`"review"`, ""),
		"null":                                bad("null", ""),
		"a list":                              bad("[]", ""),
		"an empty object":                     bad("{}", ""),
		"a review of nothing":                 bad(`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}`, ""),
		"a review that breaks off":            bad(review[:len(review)/2], ""),
		"a review and more":                   bad(review+review, ""),
		"another kind":                        bad(`{"apiVersion":"v1","kind":"Pod"}`, ""),
		"a pod that is a number": bad(`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview",`+
			`"request":{"uid":"u","kind":{"version":"v1","kind":"Pod"},"operation":"CREATE","object":7}}`, ""),
		"lists in lists":              bad(strings.Repeat("[", 1<<20), ""),
		"2 MiB of spaces":             bad(strings.Repeat(" ", large), ""),
		"2 MiB of one string":         bad(`{"kind":"`+strings.Repeat("x", large)+`"}`, ""),
		"2 MiB of objects in objects": bad(strings.Repeat(`{"a":`, large/5), ""),
		"no content type":             ofType(""),
		"text":                        ofType("text/plain"),
		"YAML":                        ofType("application/yaml"),
		"protobuf":                    ofType("application/vnd.kubernetes.protobuf"),
		"an invalid content type":     ofType(";;"),
	}
}

// oddBodies posts them to a replica, without the API server: each gets an answer, and the replica
// continues.
func oddBodies(t *testing.T, s *site) {
	client := s.direct(t, s.Replicas[1])
	review, err := reviews.Sizes()[0].Make(1)
	require.NoError(t, err)
	for name, tt := range oddRequests(string(review[0].Body)) {
		t.Run(name, func(t *testing.T) {
			var body io.Reader = strings.NewReader(tt.body)
			if tt.body == "" {
				body = http.NoBody
			}
			answer, err := client.send(t.Context(), tt.method, tt.contentType, body)
			require.NoError(t, err)
			assert.False(t, answer.Allowed)
			require.NotNil(t, answer.Result)
			assert.Equal(t, tt.code, answer.Result.Code)
			assert.NotEmpty(t, answer.Result.Message)
			assert.Contains(t, answer.Result.Message, tt.message)
		})
	}
	t.Run("a pod of 2 MiB", func(t *testing.T) {
		answer, err := client.post(t.Context(), largeReview(t, review[0].Body))
		require.NoError(t, err)
		assert.True(t, answer.Allowed)
		assert.NotEmpty(t, answer.Patch, "size is no reason to go without storage")
	})
}

// largeReview returns a review whose pod has a field of 2 MiB.
func largeReview(t *testing.T, review []byte) []byte {
	t.Helper()
	const labels = `"labels":{`
	require.Contains(t, string(review), labels)
	return bytes.Replace(review, []byte(labels), []byte(`"x":"`+strings.Repeat("x", large)+`",`+labels), 1)
}

const (
	// Memory is compared between these numbers of requests: at the first, every buffer has been
	// used and every pool is full.
	warmRequests, allRequests = 20_000, 100_000
	// Memory may grow by this many percent, because garbage is not collected at the same moment, or
	// by this many bytes: 13 for each request, which is less than anything that a request could
	// retain.
	growth, slack = 20, 1 << 20
	// connections is the number of clients, each with one persistent connection.
	connections = 8
	// One request in this many is odd, one in this many is large.
	oddEvery, largeEvery = 10, 1000
)

// flooded makes a hundred thousand requests and checks that memory does not grow, whatever they are.
func flooded(t *testing.T, s *site) {
	f := s.newFlood(t, s.Replicas[0])
	begun := time.Now()
	f.run(t, warmRequests)
	warm := memoryOf(t, f.replica)
	f.run(t, allRequests-warmRequests)
	end := memoryOf(t, f.replica)
	t.Logf("%d requests in %s; heap in use %.1f → %.1f MiB, resident %.1f → %.1f MiB", allRequests,
		time.Since(begun).Round(time.Millisecond),
		mib(warm.heap), mib(end.heap), mib(warm.resident), mib(end.resident))
	assert.LessOrEqual(t, end.heap, warm.heap+max(slack, warm.heap*growth/100))
	assert.LessOrEqual(t, end.resident, warm.resident+max(slack, warm.resident*growth/100))
}

// memory is what a replica uses, in bytes: what the last garbage collection left, and what the
// kernel counts.
type memory struct{ heap, resident float64 }

func memoryOf(t *testing.T, replica *suite.Replica) memory {
	t.Helper()
	heap, err := sumOf(t.Context(), replica, "go_gc_heap_live_bytes")
	require.NoError(t, err)
	used, err := replica.Usage()
	require.NoError(t, err)
	return memory{heap: heap, resident: float64(used.Resident)}
}

func mib(bytes float64) float64 { return bytes / (1 << 20) }

// flood is many requests to one replica, written beforehand: the CPUs are for the replica.
type flood struct {
	replica    *suite.Replica
	tls        *tls.Config
	usual, odd []exchange
	large      exchange
}

// exchange is a request and a part of its answer's text, which is cheaper to find than the answer
// is to decode.
type exchange struct{ request, expected []byte }

func (s *site) newFlood(t *testing.T, replica *suite.Replica) *flood {
	t.Helper()
	roots, err := s.caBundle(t.Context())
	require.NoError(t, err)
	made, err := reviews.Sizes()[0].Make(64)
	require.NoError(t, err)
	f := &flood{replica: replica, tls: s.trusting(roots)}
	for _, one := range made {
		f.usual = append(f.usual, newExchange(t, http.MethodPost, jsonType, one.Body, `"uid":"`+one.UID+`","allowed":true`))
	}
	f.large = newExchange(t, http.MethodPost, jsonType, largeReview(t, made[0].Body), `"allowed":true`)
	for _, one := range oddRequests(string(made[0].Body)) {
		if len(one.body) < 1<<16 {
			f.odd = append(f.odd, newExchange(t, one.method, one.contentType, []byte(one.body), `"allowed":false`))
		}
	}
	return f
}

func newExchange(t *testing.T, method, contentType string, body []byte, expected string) exchange {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "https://replica/inject?timeout=5s",
		bytes.NewReader(body))
	require.NoError(t, err)
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	var text bytes.Buffer
	require.NoError(t, request.Write(&text))
	return exchange{request: text.Bytes(), expected: []byte(expected)}
}

// run makes this many requests, the large ones first: what they allocate must be free in the end.
func (f *flood) run(t *testing.T, requests int) {
	t.Helper()
	var next atomic.Int64
	var clients errgroup.Group
	for range connections {
		clients.Go(func() error {
			c := &connection{flood: f}
			defer c.close()
			for i := int(next.Add(1)) - 1; i < requests; i = int(next.Add(1)) - 1 {
				if err := c.send(t.Context(), f.pick(i, requests/largeEvery)); err != nil {
					return fmt.Errorf("request %d: %w", i, err)
				}
			}
			return nil
		})
	}
	require.NoError(t, clients.Wait())
}

func (f *flood) pick(i, large int) exchange {
	switch {
	case i < large:
		return f.large
	case i%oddEvery == 0:
		return f.odd[i/oddEvery%len(f.odd)]
	}
	return f.usual[i%len(f.usual)]
}

// connection stays open for as long as the replica allows.
type connection struct {
	*flood
	tls    net.Conn
	reader *bufio.Reader
	text   bytes.Buffer
}

func (c *connection) close() {
	if c.tls != nil {
		_ = c.tls.Close()
		c.tls = nil
	}
}

func (c *connection) send(ctx context.Context, e exchange) error {
	if c.tls == nil {
		var err error
		if c.tls, err = (&tls.Dialer{Config: c.flood.tls}).DialContext(ctx, "tcp", c.replica.Reviews); err != nil {
			return err
		}
		c.reader = bufio.NewReader(c.tls)
	}
	if err := c.tls.SetDeadline(time.Now().Add(requestTimeout)); err != nil {
		return err
	}
	if _, err := c.tls.Write(e.request); err != nil {
		return err
	}
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	c.text.Reset()
	if _, err := c.text.ReadFrom(response.Body); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if response.StatusCode != http.StatusOK || !bytes.Contains(c.text.Bytes(), e.expected) {
		return fmt.Errorf("the answer %d %.300s is not %s", response.StatusCode, c.text.Bytes(), e.expected)
	}
	if response.Close {
		c.close()
	}
	return nil
}
