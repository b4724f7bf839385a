# SPDX-License-Identifier: Apache-2.0
"""What the conversations are made with: the daemon, a raw client, a scripted server, and real programs beside them."""
