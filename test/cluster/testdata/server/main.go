// Command server is the program of the pods in these tests. It reports its environment.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

const account = "/var/run/secrets/kubernetes.io/serviceaccount/"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()

	fmt.Println("arguments", strings.Join(os.Args[1:], " "))

	if len(os.Args) > 1 && os.Args[1] == "exit" {
		os.Exit(3)
	}

	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		// A file makes it not ready, because a test can change a file.
		if text, _ := os.ReadFile("/config/ready"); strings.TrimSpace(string(text)) == "no" {
			http.Error(w, "told not to be", http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("/file", func(w http.ResponseWriter, r *http.Request) {
		text, err := os.ReadFile(r.URL.Query().Get("path"))
		answer(w, string(text), err)
	})
	mux.HandleFunc("/write", func(w http.ResponseWriter, r *http.Request) {
		answer(w, "", os.WriteFile(r.URL.Query().Get("path"), []byte("written"), 0o600))
	})
	mux.HandleFunc("/environment", func(w http.ResponseWriter, _ *http.Request) {
		hostname, err := os.Hostname()
		answer(w, strings.Join(append(os.Environ(), "hostname="+hostname, "args="+strings.Join(os.Args[1:], " "),
			fmt.Sprintf("user=%d group=%d", os.Getuid(), os.Getgid())), "\n"), err)
	})
	mux.HandleFunc("/whoami", func(w http.ResponseWriter, r *http.Request) {
		text, err := whoami(r.Context())
		answer(w, text, err)
	})

	server := &http.Server{Addr: ":8080", Handler: mux, ReadHeaderTimeout: time.Second}
	go func() {
		<-ctx.Done()
		fmt.Println("got TERM")

		_ = server.Shutdown(context.Background())
	}()

	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		fmt.Println(err)
		os.Exit(1)
	}
}

func answer(w http.ResponseWriter, text string, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)

		return
	}

	fmt.Fprint(w, text)
}

// whoami sends a request to the API server, which it finds as a client inside of a cluster does.
func whoami(ctx context.Context) (string, error) {
	token, err := os.ReadFile(account + "token")
	if err != nil {
		return "", err
	}

	ca, err := os.ReadFile(account + "ca.crt")
	if err != nil {
		return "", err
	}

	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)

	host := os.Getenv("KUBERNETES_SERVICE_HOST") + ":" + os.Getenv("KUBERNETES_SERVICE_PORT")

	request, err := http.NewRequestWithContext(ctx, http.MethodPost,
		"https://"+host+"/apis/authentication.k8s.io/v1/selfsubjectreviews",
		strings.NewReader(`{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}`))
	if err != nil {
		return "", err
	}

	request.Header.Set("Authorization", "Bearer "+string(token))
	request.Header.Set("Content-Type", "application/json")

	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots,
		MinVersion: tls.VersionTLS13}}}

	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()

	body, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}

	var review struct {
		Status struct{ UserInfo json.RawMessage }
	}

	return string(body), json.Unmarshal(body, &review)
}
