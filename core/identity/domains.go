package identity

// Signature and hash domains. Everything that is signed in x0x is
// wire.SignedBytes(domain, fields...), and the same label is the ML-DSA context
// string: a signature made for one format can never pass for another, and none
// can pass for a TLS CertificateVerify, whose context is empty.
//
// One constant per format, none ever reused or changed: a new layout is a new
// version. A test holds them distinct.
const (
	// DomainHello: an agent proves its key on one connection.
	DomainHello = "x0x/hello/v1"
	// DomainEnvelope: one topic message.
	DomainEnvelope = "x0x/envelope/v1"
	// DomainBundle: several topic messages of one sender and topic under one signature.
	DomainBundle = "x0x/bundle/v1"
	// DomainTopic is hashed, not signed: topic ids.
	DomainTopic = "x0x/topic/v1"
	// DomainAnnounce: an agent says on which machine and where it is.
	DomainAnnounce = "x0x/announce/v1"
	// DomainPresence: an agent says that it is online.
	DomainPresence = "x0x/presence/v1"
)
