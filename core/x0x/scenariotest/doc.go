// Package scenariotest runs include/scenarios.json, the list of what every language must be
// able to do, against any Go view of x0x: the façade (core/x0x) and the C ABI (bindings) run
// the same bytes through it, as C, Python and Node do with runners of their own.
//
// The two calls to start with are [Load] and [Run]. A view implements [System] and [Agent] in
// plain types; reading the file, making payloads, naming agents and comparing results happens
// here, once. It imports nothing of x0x, so that it can never judge a view by its own code.
//
// Each scenario gets a network id and a runtime folder of its own and runs alone. One that is
// left out counts as skipped, and a list with a skipped scenario has failed.
package scenariotest
