"""The way to an object store: one client with bounded waits, and the one place that translates its errors.

Invariant: no call waits or repeats without end, and no message holds a credential.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from botocore import exceptions

from press_deploy.engine.ground.errors import STEP_LOG, InputError, StepFailed
from press_deploy.engine.plan.safe_places import S3Place

CONNECT_SECONDS = 10
# How long the store may say nothing, not how long a part may take.
READ_SECONDS = 60
# With the pauses between them about a quarter of a minute, for short failures and for 503 SlowDown.
ATTEMPTS = 6

_RIGHTS = (
	"allow these credentials s3:PutObject, GetObject, DeleteObject and AbortMultipartUpload on the keys, "
	"s3:ListBucket and ListBucketMultipartUploads on the bucket, and with aws:kms the use of the key"
)
_DENIED = ("access is denied", _RIGHTS)
_CREDENTIALS = ("the credentials are not accepted", "correct the access key and the secret key")
_EXPIRED = ("the credentials have expired", "renew them, then start the plan again")
_SKEW = (
	"this machine's clock and the store's differ too much, so it refuses every request",
	"set the clock right (timedatectl status), then start the plan again",
)
_BUSY = ("the store was busy each time it was asked (503)", "wait a few minutes, then start the plan again")
_DIGEST = (
	"the store received other bytes than were sent: the checksum does not match",
	"check the network and proxies on the way, then start the plan again",
)
_BUCKET = (
	"there is no such bucket",
	"correct bucket, region and endpoint_url in the plan, or create the bucket",
)
_REGION = ("the bucket is in another region", "set region in the plan to the bucket's")
_FULL = (
	"the store has no space left for it",
	"free space there or raise its quota, then start the plan again",
)
_REPLACED = ("somebody replaced it while it was read", "find out who writes there, then start the plan again")

# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html; an answer to HEAD has only a number.
_CODES = {
	**dict.fromkeys(("AccessDenied", "AllAccessDisabled", "AccountProblem", "403", "Forbidden"), _DENIED),
	**dict.fromkeys(("InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "401"), _CREDENTIALS),
	**dict.fromkeys(("ExpiredToken", "TokenRefreshRequired", "RequestExpired"), _EXPIRED),
	"RequestTimeTooSkewed": _SKEW,
	**dict.fromkeys(("SlowDown", "ServiceUnavailable", "TooManyRequests", "429", "503"), _BUSY),
	**dict.fromkeys(("BadDigest", "InvalidDigest", "XAmzContentChecksumMismatch"), _DIGEST),
	"XAmzContentSHA256Mismatch": _DIGEST,
	"NoSuchBucket": _BUCKET,
	**dict.fromkeys(("PermanentRedirect", "AuthorizationHeaderMalformed", "301"), _REGION),
	**dict.fromkeys(("QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded"), _FULL),
	**dict.fromkeys(("PreconditionFailed", "412"), _REPLACED),
}
# In this order: the first kind that fits.
_KINDS = (
	(
		(
			exceptions.NoCredentialsError,
			exceptions.PartialCredentialsError,
			exceptions.CredentialRetrievalError,
		),
		(
			"no credentials were found",
			"set them in the environment, a profile, an instance role or Deployment Settings",
		),
	),
	(
		(exceptions.ProfileNotFound,),
		("there is no such profile here", "add it to ~/.aws/config, or correct the plan"),
	),
	(
		(exceptions.SSLError,),
		("its TLS certificate is not trusted", "correct the certificate or endpoint_url"),
	),
	(
		(exceptions.ReadTimeoutError,),
		(
			"it accepted the request and then said nothing for too long",
			"check the store's load and the network, then start the plan again",
		),
	),
	(
		(exceptions.EndpointConnectionError, exceptions.ConnectTimeoutError, exceptions.ProxyConnectionError),
		(
			"it can't be reached",
			"check endpoint_url, name resolution, firewall and network, then start the plan again",
		),
	),
	(
		(exceptions.HTTPClientError, exceptions.IncompleteReadError),
		(
			"the connection was cut again and again",
			"check the network and proxies on the way, then start the plan again",
		),
	),
)


def connect(spec: S3Place, credentials: Mapping[str, str] | None) -> Any:
	"""A client of the store. `credentials` counts only where the plan says `settings`.

	It holds access_key_id, secret_access_key and perhaps session_token. Raises `InputError`, `StepFailed`.
	"""
	# Only a plan with an object store pays for this import.
	import boto3
	from botocore.config import Config

	handed_in = _handed_in(credentials) if spec.credentials == "settings" else {}
	# A store of one's own seldom has a name in the DNS for each bucket.
	addressing = {"addressing_style": "path"} if spec.endpoint_url else {}
	config = Config(
		connect_timeout=CONNECT_SECONDS,
		read_timeout=READ_SECONDS,
		retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
		signature_version="s3v4",
		tcp_keepalive=True,
		s3=addressing,
	)
	with translated("Opening", f"s3://{spec.bucket}"):
		session = boto3.Session(profile_name=spec.profile, region_name=spec.region, **handed_in)
		return session.client("s3", endpoint_url=spec.endpoint_url, config=config)


def error_code(error: BaseException) -> str:
	"""The store's own code for an error; empty when the error is not the store's."""
	return (
		error.response.get("Error", {}).get("Code", "") if isinstance(error, exceptions.ClientError) else ""
	)


def is_missing(error: BaseException) -> bool:
	"""Whether the store says that the object (not the bucket) is not there."""
	return error_code(error) in ("404", "NoSuchKey", "NotFound")


def translate(doing: str, what: str, error: Exception) -> StepFailed:
	"""The error of boto3 in our words."""
	code = error_code(error)
	if code:
		message = error.response["Error"].get("Message", "")[:200] if code not in _CODES else ""
		why, remedy = _CODES.get(
			code,
			(
				f"the store answers {code}: {message}",
				"look that code up in the store's own log or documentation",
			),
		)
		return StepFailed(doing, what, f"{why} ({code})" if code in _CODES else why, remedy)
	for kinds, (why, remedy) in _KINDS:
		if isinstance(error, kinds):
			return StepFailed(doing, what, why, remedy)
	return StepFailed(
		doing, what, f"the store could not be asked ({type(error).__name__})", f"see {STEP_LOG}"
	)


@contextmanager
def translated(doing: str, what: str) -> Iterator[None]:
	"""Whatever boto3 raises within leaves as `StepFailed`."""
	try:
		yield
	except (exceptions.BotoCoreError, exceptions.ClientError) as error:
		raise translate(doing, what, error) from error


def _handed_in(credentials: Mapping[str, str] | None) -> dict[str, str | None]:
	found = credentials or {}
	if not found.get("access_key_id") or not found.get("secret_access_key"):
		raise InputError(
			"credentials",
			"settings",
			"Deployment Settings hold no access key and secret key",
			"enter both there, or set credentials to default in the plan",
		)
	return {
		"aws_access_key_id": found["access_key_id"],
		"aws_secret_access_key": found["secret_access_key"],
		"aws_session_token": found.get("session_token") or None,
	}
