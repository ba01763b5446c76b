package admission_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
)

// review of about 18 KB, as an API server sends it.
func largeReview() string {
	var pod strings.Builder
	pod.WriteString(`{"apiVersion":"v1","kind":"Pod",` + strings.Replace(labelled, `"labels"`,
		`"managedFields":[{"manager":"kube-controller-manager","fieldsV1":{`+strings.TrimSuffix(strings.Repeat(`"f:a`+`":{"f:b":{},"f:c":{"f:d":{}}},`, 1), ",")+`}}],"labels"`, 1) +
		`,"spec":{"volumes":[{"name":"token","projected":{"sources":[{"serviceAccountToken":{"expirationSeconds":3607,"path":"token"}}]}}],"containers":[`)
	for i := range 12 {
		if i > 0 {
			pod.WriteString(",")
		}
		n := strconv.Itoa(i)
		pod.WriteString(`{"name":"c` + n + `","image":"registry.example/team/image:1.2.` + n + `","args":["--one","--two","--three=` + n + `"],"env":[`)
		for j := range 10 {
			if j > 0 {
				pod.WriteString(",")
			}
			pod.WriteString(`{"name":"VARIABLE_` + strconv.Itoa(j) + `","value":"a value of some length ` + n + `"}`)
		}
		pod.WriteString(`],"resources":{"limits":{"cpu":"1","memory":"2Gi"},"requests":{"cpu":"500m","memory":"1Gi"}},"volumeMounts":[{"name":"token","readOnly":true,"mountPath":"/var/run/secrets/kubernetes.io/serviceaccount"}],"livenessProbe":{"httpGet":{"path":"/healthz","port":8080,"scheme":"HTTP"},"timeoutSeconds":1,"periodSeconds":10}}`)
	}
	pod.WriteString(`],"restartPolicy":"Always","schedulerName":"default-scheduler"}}`)
	return createOf(pod.String())
}

// BenchmarkHandler measures one review without the network; make bench-admission measures the program with it.
func BenchmarkHandler(b *testing.B) {
	for name, body := range map[string][]byte{"small": []byte(createOf(plainPod)), "12-containers": []byte(largeReview())} {
		b.Run(name, func(b *testing.B) {
			h := handler(b)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				request := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/inject", bytes.NewReader(body))
				request.Header.Set("Content-Type", "application/json")
				h.ServeHTTP(httptest.NewRecorder(), request)
			}
		})
	}
}
