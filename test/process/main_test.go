package process

import (
	"os"
	"strconv"
	"syscall"
	"testing"
)

// killedEnv has the test program start a process and kill itself.
const killedEnv = "PROCESS_TEST_KILLED"

func TestMain(m *testing.M) {
	if os.Getenv(killedEnv) != "" {
		p, err := Start(Options{Program: "sleep", Args: []string{"600"}})
		if err == nil {
			_, err = os.Stdout.WriteString(strconv.Itoa(p.PID()))
		}
		if err == nil {
			err = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
		panic(err)
	}
	os.Exit(m.Run())
}
