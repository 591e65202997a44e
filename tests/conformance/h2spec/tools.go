//go:build tools

// Package tools names what `go build` in this directory makes: h2spec, at the version of go.mod and checked by go.sum.
package tools

import _ "github.com/summerwind/h2spec/cmd/h2spec"
