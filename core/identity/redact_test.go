package identity

import (
	"bytes"
	"crypto"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"
)

type hashOpts struct{}

func (hashOpts) HashFunc() crypto.Hash { return crypto.SHA512 }

// needles are parts of the secret in the forms that printers use: raw, hex,
// base64, and lists of decimal or hexadecimal numbers. They are taken from K
// and the seed, which the parsed key holds as bytes, and from all over the
// packed secret.
func needles(image, seed []byte) []string {
	var forms []string
	add := func(part []byte) {
		goSyntax := fmt.Sprintf("%#v", part) // []byte{0x1, …}
		forms = append(forms,
			string(part),
			hex.EncodeToString(part),
			fmt.Sprintf("% x", part),
			strings.Trim(fmt.Sprint(part), "[]"),
			strings.TrimSuffix(goSyntax[strings.Index(goSyntax, "{")+1:], "}"),
			base64.StdEncoding.EncodeToString(part)[:8])
	}
	for at := 0; at < 32; at += 8 {
		add(seed[at : at+8])
		add(image[offSecret+32+at:][:8])
	}
	for at := offSecret + offS1; at+8 <= KeyFileSize; at += 96 { // a multiple of 3, as base64 counts
		add(image[at : at+8])
	}
	return forms
}

func leaks(text string, needles []string) bool {
	lower := strings.ToLower(text)
	for _, n := range needles {
		if strings.Contains(text, n) || strings.Contains(lower, n) {
			return true
		}
	}
	return false
}

func TestLeakDetectorSeesLeaks(t *testing.T) {
	image := testKey(t, 77).MarshalKeyFile()
	for _, format := range []string{"%v", "%x", "%X", "% x", "%s", "%#v", "%d"} {
		require.True(t, leaks(fmt.Sprintf(format, image), needles(image, seedOf(77))), format)
	}
	text, err := json.Marshal(image)
	require.NoError(t, err)
	require.True(t, leaks(string(text), needles(image, seedOf(77))))
	parsed := testKey(t, 77).secret.key
	require.True(t, leaks(fmt.Sprint(parsed), needles(image, seedOf(77))), "circl's own type shows all")
}

func TestSecretsNeverPrint(t *testing.T) {
	k := testKey(t, 77)
	image := k.MarshalKeyFile()
	secret := needles(image, seedOf(77))

	folder := t.TempDir()
	require.NoError(t, os.Chmod(folder, 0o700))
	path := filepath.Join(folder, AgentKeyFile)
	require.NoError(t, SaveKey(path, k))
	dir, err := OpenDir(folder, false)
	require.NoError(t, err)
	defer dir.Close()

	type outer struct {
		Name   string
		Key    *Key
		hidden *Key
		signer crypto.Signer
	}
	values := map[string]any{
		"key":            k,
		"copied key":     reflect.ValueOf(k).Elem().Interface(),
		"pointer to key": &k,
		"slice":          []*Key{k},
		"map":            map[string]*Key{"k": k},
		"map key":        map[*Key]int{k: 1},
		"struct":         outer{"n", k, k, k.Signer()},
		"struct pointer": &outer{"n", k, k, k.Signer()},
		"interface":      []any{k, any(k)},
		"public":         k.Public(),
		"signer":         k.Signer(),
		"id":             k.Public().AgentID(),
		"dir":            dir,
		"error":          fmt.Errorf("with %v and %+v", k, k),
		"group":          slog.GroupValue(slog.Any("key", k)),
	}
	certificate, err := IssueCertificate(k, testKey(t, 4).Public().AgentID(), testNow, testNow.Add(1e9))
	require.NoError(t, err)
	card, err := NewCard(k, CardOptions{CreatedAt: testNow})
	require.NoError(t, err)
	introduction, err := NewIntroduction(k, IntroductionOptions{IssuedAt: testNow})
	require.NoError(t, err)
	revocation, err := NewAgentRevocation(k, "", testNow)
	require.NoError(t, err)
	values["certificate"], values["card"], values["introduction"], values["revocation"] = certificate, card, introduction, revocation
	for i := offSecret; i < KeyFileSize; i += 97 {
		bad := bytes.Clone(image)
		bad[i] ^= 0x80
		if _, err := ParseKeyFile(bad); err != nil {
			values[fmt.Sprintf("parse error at %d", i)] = err
		}
	}
	_, pairErr := KeyFromPair(image[offPublic:offSecretLength], testKey(t, 78).MarshalKeyFile()[offSecret:])
	_, sizeErr := ParseKey(image[100:])
	values["pair error"], values["size error"] = pairErr, sizeErr

	check := func(t *testing.T, how, text string) {
		t.Helper()
		require.Falsef(t, leaks(text, secret), "%s shows the secret", how)
		require.Less(t, len(text), 1<<18, how)
	}
	for name, v := range values {
		t.Run(name, func(t *testing.T) {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%t", "%p", "%b", "%o", "%e", "%U"} {
				check(t, verb, fmt.Sprintf(verb, v))
			}
			var log bytes.Buffer
			options := &slog.HandlerOptions{Level: slog.LevelDebug}
			for _, h := range []slog.Handler{slog.NewTextHandler(&log, options), slog.NewJSONHandler(&log, options)} {
				slog.New(h).With("with", v).WithGroup("g").Info("message", "value", v, "again", slog.AnyValue(v))
			}
			check(t, "slog", log.String())
			if text, err := json.Marshal(v); err == nil {
				check(t, "json", string(text))
			}
			if b, err := msgpack.Marshal(v); err == nil {
				check(t, "msgpack", string(b))
			}
		})
	}

	require.Contains(t, fmt.Sprint(certificate), "Certificate(user "+k.Public().UserID().Short())
	for _, v := range []any{certificate, card, introduction, revocation} {
		require.Less(t, len(fmt.Sprint(v)), 120, "short enough for a log")
	}
	require.Equal(t, "Key("+k.Public().AgentID().Short()+")", fmt.Sprint(k))
	require.Equal(t, fmt.Sprint(k), fmt.Sprintf("%#v", k))
	require.Equal(t, fmt.Sprint(k), k.GoString())
	require.Equal(t, fmt.Sprint(k), fmt.Sprint(k.Signer()))
	require.Equal(t, "Key(nil)", fmt.Sprint((*Key)(nil)))
	text, err := json.Marshal(k)
	require.NoError(t, err)
	require.Equal(t, `"`+k.String()+`"`, string(text))
	require.Error(t, errors.Join(pairErr, sizeErr))
}
