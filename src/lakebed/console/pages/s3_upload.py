"""S3: a file into a bucket, by the browser straight to S3; and an object away.

The form is S3's own: a policy signed by a session of a few minutes, for keys under the prefix. So the file never passes
through the console, and an upload here is an upload like any other (notifications, encryption, versions).
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-UsingHTTPPOST.html
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

import htpy as h

from lakebed.console.asked import Asked, to
from lakebed.console.backend import Backend
from lakebed.console.pages.s3 import CURRENT
from lakebed.console.parts import act, button, panel
from lakebed.console.shell import Page


async def page(backend: Backend, asked: Asked) -> Page:
    """The form."""
    bucket, prefix = asked.get("bucket"), asked.get("prefix")
    await backend.call("s3", "HeadBucket", {"Bucket": bucket}, backend.scope)
    # S3 adds bucket and key to where it sends the browser on to.
    fields = backend.upload(backend.scope, bucket, prefix, backend.origin + to("s3/object"))
    form = h.form(".act", method="post", action=f"/{quote(bucket)}", enctype="multipart/form-data")[
        [h.input(type="hidden", name=name, value=value) for name, value in fields.items()],
        h.label["Key ", h.input(".long", type="text", name="key", value=prefix + "${filename}", required=True, maxlength="1024")],
        h.label["Content type ", h.input(type="text", name="Content-Type", value="application/octet-stream", size="30")],
        h.label["File ", h.input(type="file", name="file", required=True)],
        h.div(".query-bar")[button("Upload", primary=True)],
    ]  # fmt: skip
    about = h.p(".muted")[
        "${filename} becomes the name of the file. The browser sends it to S3 itself; the form is good for 15 minutes."
    ]
    command = f"aws s3 cp file.csv s3://{bucket}/{prefix}"
    content = [panel("Upload", form, about), panel("The same in a shell", h.pre(tabindex="0")[command])]
    crumbs = [("S3", CURRENT), (bucket, to("s3/objects", bucket=bucket))]
    if prefix:
        crumbs.append((prefix, to("s3/objects", bucket=bucket, prefix=prefix)))
    return Page("Upload", f"A file into s3://{bucket}/{prefix}", CURRENT, content, crumbs=tuple(crumbs))


def deleting(backend: Backend, bucket: str, key: str) -> h.Element:
    """The way to delete an object, behind one more step."""
    return panel(
        "Delete",
        h.details[
            h.summary["Delete this object …"],
            h.p["Where the bucket keeps versions this one stays as an older one; elsewhere it is gone for good."],
            act(backend.token, "s3/delete", button("Delete it"), bucket=bucket, key=key),
        ],
    )


async def delete(backend: Backend, form: Mapping[str, str]) -> str:
    """Delete the object of the form, and go to where it was."""
    bucket, key = form.get("bucket", ""), form.get("key", "")
    await backend.call("s3", "DeleteObject", {"Bucket": bucket, "Key": key}, backend.scope)
    above, slash, _ = key.rpartition("/")
    return to("s3/objects", bucket=bucket, prefix=above + slash, deleted=key)
