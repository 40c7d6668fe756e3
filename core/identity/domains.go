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
	// DomainWords is hashed, not signed: the words by which people compare ids.
	DomainWords = "x0x/words/v1"
	// DomainAnnounce: an agent says on which machine and where it is.
	DomainAnnounce = "x0x/announce/v1"
	// DomainPresence: an agent says that it is online.
	DomainPresence = "x0x/presence/v1"
	// DomainCertificate: a user says that an agent is theirs.
	DomainCertificate = "x0x/certificate/v1"
	// DomainAcceptance: the agent says that it is that user's.
	DomainAcceptance = "x0x/acceptance/v1"
	// DomainRevocation: a key, or the user of an agent, ends what was said before.
	DomainRevocation = "x0x/revocation/v1"
	// DomainCard: an agent describes itself in a link for people to pass on.
	DomainCard = "x0x/card/v1"
	// DomainIntroduction: an agent describes itself to one other agent.
	DomainIntroduction = "x0x/introduction/v1"
	// DomainApplication: a statement of an application, see [SignStatement].
	DomainApplication = "x0x/application/v1"
	// DomainBinding: a machine says that an agent runs on it.
	DomainBinding = "x0x/binding/v1"
)
