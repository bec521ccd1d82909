package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// The first admin needs no key; whoever follows does. A key without the permission is refused, and says what it lacks.
func TestStaffAndKeysAreManaged(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	try := trying(t, "--nats", b.url)
	try("staff", exitOK, "no staff", "ops staff add NAME --role admin")
	try("staff add mira --role operator --reason x", exitFailed, "unknown, revoked or has expired")
	try("staff add ada --role admin --reason first --ops-key=", exitOK, "http://127.0.0.1:8090/ops/join#")
	try("staff link ada --recover --reason lost --ops-key=", exitOK, "/ops/join#")
	file := filepath.Join(t.TempDir(), "shop.json")
	if err := os.WriteFile(file, []byte(`{"nats": "`+b.url+`", "console": "http://10.0.0.1:9000/ops"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	trying(t, "--shop", file)("staff link ada --recover --reason lost --ops-key=", exitOK, "http://10.0.0.1:9000/ops/join#")
	try("keys", exitOK, "no API keys")
	b.admit()
	try("staff add mira --role operator --reason x --console https://ops.example.com/", exitOK, "https://ops.example.com/ops/join#")
	try("staff add mira --role operator --reason x", exitFailed, "exists already")
	try("staff role mira viewer --reason moved", exitOK, "mira has the role viewer")
	try("staff list", exitOK, "ada admin invited no never 0", "mira viewer invited no never 0")
	try("staff signout mira --reason lost", exitOK, "the sessions of mira are ended")
	try("staff signout nobody --reason lost", exitFailed, "not found")
	try("staff totp mira --reason lost", exitOK, "mira signs in without a code")
	try("staff remove mira --reason left", exitOK, "mira is removed")
	try("staff remove mira --reason left", exitFailed, "not found")
	try("staff list --all --json", exitOK, `"status": "removed"`)
	try("keys add backup --permissions read,data:write --reason x", exitOK, "tsk_")
	try("keys add bad --permissions everything --reason x", exitFailed, "unknown permission")
	try("keys add bad --reason x", exitFailed, "either --permissions or --role")
	today := time.Now().Format(time.DateOnly) // the commands above have used the key
	try("keys", exitOK, "backup valid", "read data:write", "ops valid never "+today, "system all of admin", "LAST USED")
	try("keys --json", exitOK, `"last_used": "`)
	try("keys revoke backup --reason x", exitOK, "API key backup is revoked")
	try("pause inventory --reason x --ops-key tsk_GUESSED", exitFailed, "ops keys add")
}
