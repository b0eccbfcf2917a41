"""Which columns hold a secret, by their names: those of Frappe that do, and none that people write into."""

import pytest

from press_deploy.engine.databases.losses.concealing import is_secret


@pytest.mark.parametrize(
	"name",
	[
		*(
			"password",
			"new_password",
			"smtp_password",
			"passwd",
			"db_pwd",
			"passphrase",
			"secret",
			"client_secret",
		),
		*("api_key", "api_secret", "apikey", "access_key", "aws_secret_key", "private_key", "encryption_key"),
		*(
			"token",
			"access_token",
			"refresh_token",
			"token_hash",
			"reset_password_key",
			"license_key",
			"secret_key",
		),
		*("credentials", "auth_key", "API_KEY"),
	],
)
def test_secrets(name: str) -> None:
	assert is_secret(name)


@pytest.mark.parametrize(
	"name",
	[
		*(
			"key",
			"secretary",
			"company_secretary",
			"private_note",
			"is_private",
			"token_number",
			"tokens_used",
		),
		*(
			"sort_key",
			"foreign_key",
			"cookie",
			"credential_type",
			"secretariat",
			"keynote",
			"spwd",
			"compassion",
		),
	],
)
def test_what_people_write(name: str) -> None:
	assert not is_secret(name)
