package postrender

import (
	"fmt"
	"runtime/debug"
)

// task is work on a goroutine of its own. A nil task is done.
type task struct {
	done     chan struct{}
	panicked *taskPanic
}

// start begins a task.
func start(do func()) *task {
	t := &task{done: make(chan struct{})}
	go func() {
		defer close(t.done)
		defer t.recover()
		do()
	}()
	return t
}

// wait returns when the task is done. If the task panicked, wait panics: only the goroutine of the
// caller of [Renderer.Render] can recover.
func (t *task) wait() {
	if t == nil {
		return
	}
	<-t.done
	if t.panicked != nil {
		panic(t.panicked)
	}
}

// recover catches a panic of the task: it would end the program before the caller could handle
// it.
func (t *task) recover() {
	if value := recover(); value != nil {
		t.panicked = &taskPanic{value: value, stack: debug.Stack()}
	}
}

// taskPanic is a panic of a task, with the stack of the task.
type taskPanic struct {
	value any
	stack []byte
}

// Error returns the panic and the stack, as the runtime prints them.
func (p *taskPanic) Error() string { return fmt.Sprintf("%v\n\n%s", p.value, p.stack) }

// Unwrap returns the error that the task panicked with, or nil.
func (p *taskPanic) Unwrap() error {
	err, _ := p.value.(error)
	return err
}
