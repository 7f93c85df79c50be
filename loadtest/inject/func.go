package inject

import (
	"context"
	"time"
)

// Func returns a target whose request is a call of do: anything that can be called can be ramped.
// do must return when its context is done, which it is after the timeout. An error is a failure, of
// the class that [Classify] finds, else of class Body: the answer was not the expected one.
func Func(do func(context.Context) error) Target { return funcTarget(do) }

type funcTarget func(context.Context) error

func (do funcTarget) NewVU(timeout time.Duration) VU {
	ctx, cancel := context.WithCancel(context.Background())
	return &funcVU{do: do, timeout: timeout, ctx: ctx, cancel: cancel}
}

type funcVU struct {
	do      funcTarget
	timeout time.Duration
	ctx     context.Context
	cancel  context.CancelFunc

	exhausted *LimitError
}

func (*funcVU) Connected() bool               { return true }
func (*funcVU) Connect(context.Context) Class { return OK }

func (v *funcVU) Do(time.Duration) Class {
	ctx, cancel := context.WithTimeout(v.ctx, v.timeout)
	defer cancel()
	err := v.do(ctx)
	v.exhausted = asLimit(err)
	return Classify(err, Body)
}

func (v *funcVU) limit() *LimitError { return v.exhausted }

func (v *funcVU) Interrupt() { v.cancel() }
func (v *funcVU) Close()     { v.cancel() }
