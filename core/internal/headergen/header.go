// Package headergen reads include/x0x.h, the hand-written contract of the C ABI, and writes
// from it the tables that the other languages need: constants, structs, function signatures,
// statuses, record kinds and methods. The header is the only source; a test compares what is
// committed with a fresh generation.
//
// It understands the shape of that one file (one enumerator, field or define a line, comments
// with @ tags) and reports any line of a tagged block that it cannot read, so that a typo is
// an error and not a silent omission. It is not a C parser.
package headergen

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Constant is one named number: a #define or an enumerator.
type Constant struct {
	Name  string
	Value int64
	Doc   string
}

// Enum is one enum with its constants in order.
type Enum struct {
	Name      string // x0x_status
	Constants []Constant
}

// Field is one struct member.
type Field struct {
	Name  string
	CType string // "uint32_t", "const char *", "char"
	Array int    // 0 = scalar
}

// Struct is one struct with its members in order.
type Struct struct {
	Name   string
	Fields []Field
}

// Param is one function parameter.
type Param struct {
	Name  string
	CType string
}

// Func is one exported function.
type Func struct {
	Name   string
	Return string
	Params []Param
}

// Method is one row of the method table of x0x_call and x0x_call_now.
type Method struct {
	Constant
	Async  bool
	Kind   string // "agent", "subscription", "inbox"
	Args   string // "agent_id:id, timeout_ms:u32?"
	Result string // "(outcome:u8, address:str?)"
}

// Record is one row of the record table.
type Record struct {
	Constant
	Metas   []string // one or two alternatives: "sender:id, epoch:u64"
	Payload bool
}

// Header is everything that generators use.
type Header struct {
	Defines  []Constant
	Strings  map[string]string
	Enums    []Enum
	Structs  []Struct
	Funcs    []Func
	Methods  []Method
	Records  []Record
	Statuses []Constant
}

// Enum returns the enum of that name, or an empty one.
func (h *Header) Enum(name string) Enum {
	for _, e := range h.Enums {
		if e.Name == name {
			return e
		}
	}
	return Enum{}
}

var (
	defineLine = regexp.MustCompile(`^#define (X0X_[A-Z0-9_]+) (.+?)\s*(?:/\*(.*))?$`)
	enumLine   = regexp.MustCompile(`^\s+(X0X_[A-Z0-9_]+) = (-?[0-9]+),?\s*(?:/\*\s*(.*?)\s*\*/)?$`)
	fieldLine  = regexp.MustCompile(`^\s+((?:const )?[a-z0-9_]+ \*?)([a-z0-9_]+)(?:\[([0-9]+)\])?;`)
	funcHead   = regexp.MustCompile(`^X0X_API (.+?)(x0x_[a-z0-9_]+)\((.*)\)$`)
	paramForm  = regexp.MustCompile(`^((?:const )?[a-z0-9_]+ \**)([a-z0-9_]+)(\[[A-Z0-9_]+\])?$`)
	methodTag  = regexp.MustCompile(`^@(async|now) ([a-z]+) \((.*?)\) -> (.+)$`)
	recordTag  = regexp.MustCompile(`^@record (.+)$`)
	metaForm   = regexp.MustCompile(`meta\(([^)]*)\)`)
	resultForm = regexp.MustCompile(`^(nil|\((?:[^()]|\[\([^()]*\)\])*\)\??|\[\((?:[^()]|\[\([^()]*\)\])*\)\]|\[[a-z0-9]+\]|map\([a-z0-9:]+\))`)
)

// Parse reads the text of x0x.h.
func Parse(text string) (*Header, error) {
	h := &Header{Strings: map[string]string{}}
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		var err error
		switch {
		case strings.HasPrefix(line, "#define X0X_"):
			err = h.define(line)
		case strings.HasPrefix(line, "enum x0x_"):
			i, err = h.enum(lines, i)
		case strings.HasPrefix(line, "typedef struct x0x_"):
			i, err = h.structure(lines, i)
		case strings.HasPrefix(line, "X0X_API "):
			i, err = h.function(lines, i)
		}
		if err != nil {
			return nil, fmt.Errorf("x0x.h:%d: %w", i+1, err)
		}
	}
	for _, e := range h.Enums {
		if e.Name == "x0x_status" {
			h.Statuses = e.Constants
		}
	}
	if len(h.Statuses) == 0 || len(h.Funcs) == 0 || len(h.Methods) == 0 || len(h.Records) == 0 {
		return nil, fmt.Errorf("x0x.h: a table is empty: %d statuses, %d functions, %d methods, %d records",
			len(h.Statuses), len(h.Funcs), len(h.Methods), len(h.Records))
	}
	return h, nil
}

func (h *Header) define(line string) error {
	m := defineLine.FindStringSubmatch(line)
	if m == nil {
		return nil // X0X_API, X0X_H: not a number
	}
	name, text := m[1], strings.Trim(strings.TrimSpace(m[2]), "()")
	switch text {
	case "UINT32_MAX":
		text = "4294967295"
	case "INT32_MAX":
		text = "2147483647"
	}
	v, err := strconv.ParseInt(strings.TrimSuffix(text, "u"), 0, 64)
	if err != nil {
		if name == "X0X_ABI_VERSION" || name == "X0X_API" {
			return nil // computed; generators build it from major and minor
		}
		return fmt.Errorf("define %s: %q is not a number", name, text)
	}
	h.Defines = append(h.Defines, Constant{name, v, strings.TrimSpace(strings.TrimSuffix(m[3], "*/"))})
	return nil
}

func (h *Header) enum(lines []string, i int) (int, error) {
	e := Enum{Name: strings.Fields(lines[i])[1]}
	for i++; i < len(lines) && lines[i] != "};"; i++ {
		if strings.TrimSpace(lines[i]) == "" {
			continue
		}
		m := enumLine.FindStringSubmatch(lines[i])
		if m == nil {
			return i, fmt.Errorf("enum %s: unreadable line %q", e.Name, lines[i])
		}
		v, err := strconv.ParseInt(m[2], 10, 64)
		if err != nil {
			return i, err
		}
		c := Constant{m[1], v, m[3]}
		e.Constants = append(e.Constants, c)
		switch e.Name {
		case "x0x_method":
			t := methodTag.FindStringSubmatch(c.Doc)
			if t == nil {
				return i, fmt.Errorf("method %s lacks its @async or @now tag", c.Name)
			}
			r := resultForm.FindString(t[4])
			if r == "" {
				return i, fmt.Errorf("method %s: unreadable result %q", c.Name, t[4])
			}
			h.Methods = append(h.Methods, Method{c, t[1] == "async", t[2], t[3], r})
		case "x0x_record_kind":
			t := recordTag.FindStringSubmatch(c.Doc)
			if t == nil {
				return i, fmt.Errorf("record %s lacks its @record tag", c.Name)
			}
			r := Record{Constant: c, Payload: strings.Contains(t[1], " payload: ")}
			for _, f := range metaForm.FindAllStringSubmatch(t[1], -1) {
				r.Metas = append(r.Metas, f[1])
			}
			h.Records = append(h.Records, r)
		}
	}
	h.Enums = append(h.Enums, e)
	return i, nil
}

func (h *Header) structure(lines []string, i int) (int, error) {
	s := Struct{Name: strings.Fields(lines[i])[2]}
	for i++; i < len(lines) && !strings.HasPrefix(lines[i], "}"); i++ {
		m := fieldLine.FindStringSubmatch(lines[i])
		if m == nil {
			return i, fmt.Errorf("struct %s: unreadable line %q", s.Name, lines[i])
		}
		f := Field{Name: m[2], CType: strings.TrimSpace(m[1])}
		if m[3] != "" {
			n, err := strconv.Atoi(m[3])
			if err != nil {
				return i, err
			}
			f.Array = n
		}
		s.Fields = append(s.Fields, f)
	}
	h.Structs = append(h.Structs, s)
	return i, nil
}

func (h *Header) function(lines []string, i int) (int, error) {
	text := strings.TrimSpace(lines[i])
	for !strings.HasSuffix(text, ";") {
		i++
		text += " " + strings.TrimSpace(lines[i])
	}
	m := funcHead.FindStringSubmatch(strings.TrimSuffix(text, ";"))
	if m == nil {
		return i, fmt.Errorf("unreadable declaration %q", text)
	}
	f := Func{Name: m[2], Return: strings.TrimSpace(m[1])}
	if m[3] != "void" {
		for _, p := range strings.Split(m[3], ",") {
			q := paramForm.FindStringSubmatch(strings.TrimSpace(p))
			if q == nil {
				return i, fmt.Errorf("%s: unreadable parameter %q", f.Name, p)
			}
			ctype := strings.TrimSpace(q[1])
			if q[3] != "" {
				ctype += " *" // an array parameter is a pointer
			}
			f.Params = append(f.Params, Param{q[2], ctype})
		}
	}
	h.Funcs = append(h.Funcs, f)
	return i, nil
}
