"""The name of a bucket in; that bucket, made if it is not there yet, out: ``bucket.py NAME``.

Where the store is and with which keys, boto3 reads from its own settings (AWS_...).
"""

import sys

import boto3
from botocore.exceptions import ClientError


def keep_bucket(name: str) -> None:
    """Have the bucket. Raises botocore's errors where the store is away, or refuses."""
    store = boto3.client("s3")
    try:
        store.head_bucket(Bucket=name)
    except ClientError as error:
        if error.response["Error"]["Code"] != "404":
            raise
        store.create_bucket(Bucket=name)


if __name__ == "__main__":
    keep_bucket(sys.argv[1])
