// SPDX-License-Identifier: GPL-3.0-or-later
//
// The certificates of market_tls.c: a root, a server of the name and addresses of the simulated
// exchange, and one of another name, all valid from 2000 to 2099, since the simulated clock stands
// in 2026. They are in the tree and not made anew, because a seed gives the same bytes on every
// machine only with the same keys. The keys are known to everybody and protect nothing.
#include "market_tls.h"

const char market_tls_root[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBeTCCAR6gAwIBAgIUXwLPpSdI1qobkOBLEO6jt9rGV3UwCgYIKoZIzj0EAwIw\n"
    "GTEXMBUGA1UEAwwOc2ltdWxhdGVkIHJvb3QwIBcNMDAwMTAxMDAwMDAwWhgPMjA5\n"
    "OTEyMzEyMzU5NTlaMBkxFzAVBgNVBAMMDnNpbXVsYXRlZCByb290MFkwEwYHKoZI\n"
    "zj0CAQYIKoZIzj0DAQcDQgAEnHauq+sWheIl752EYsMVwsG4n3IZMFzvC34Yf0x5\n"
    "enzvBtfHGy95VchS8Pf8g46Rdg3+Rmofu0ObBMFDk0Fdj6NCMEAwDwYDVR0TAQH/\n"
    "BAUwAwEB/zAOBgNVHQ8BAf8EBAMCAQYwHQYDVR0OBBYEFLUGq12mpQiL1JEF0QK7\n"
    "MDLBNzaRMAoGCCqGSM49BAMCA0kAMEYCIQC9NQ10DDymJvBS2eMjOfyVbtAyT05x\n"
    "MN6H/OLvWU2P3QIhAN5Sddq4iFxpbFvHrEXiFAwwNP9BeS3f4UgTU2TRzr8L\n"
    "-----END CERTIFICATE-----\n";

const char market_tls_exchange[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIB7zCCAZagAwIBAgIUGHMhV8fKYzJLpY6TI6HWQ3JRJXwwCgYIKoZIzj0EAwIw\n"
    "GTEXMBUGA1UEAwwOc2ltdWxhdGVkIHJvb3QwIBcNMDAwMTAxMDAwMDAwWhgPMjA5\n"
    "OTEyMzEyMzU5NTlaMB0xGzAZBgNVBAMMEnNpbXVsYXRlZCBleGNoYW5nZTBZMBMG\n"
    "ByqGSM49AgEGCCqGSM49AwEHA0IABLJbDFS+saKEaIGn2ZF3KlxEV9hZeHTd0MRX\n"
    "IHMmaVhcsN6xZBzAD0rNyjdqihZk5KRAXsjpVOvBVdoFwvHKDqWjgbUwgbIwDAYD\n"
    "VR0TAQH/BAIwADAOBgNVHQ8BAf8EBAMCB4AwEwYDVR0lBAwwCgYIKwYBBQUHAwEw\n"
    "PQYDVR0RBDYwNIIQZXhjaGFuZ2UuZXhhbXBsZYIOZXhjaGFuZ2UuYWxpYXOHBH8A\n"
    "AAGHBH8AAAKHBH8AAAMwHQYDVR0OBBYEFMh1sfx+mGOqkyuaC8yfzsSwbC+rMB8G\n"
    "A1UdIwQYMBaAFLUGq12mpQiL1JEF0QK7MDLBNzaRMAoGCCqGSM49BAMCA0cAMEQC\n"
    "IB9uRgjTBgwkvN1Hrx4a6/SpjRqZyv/MFv3TxEDJ8nVYAiAJcx43q6cFW/3OboUn\n"
    "/01O8iIRZlwMxmbsEMSSjTGBmA==\n"
    "-----END CERTIFICATE-----\n";

const char market_tls_exchange_key[] =
    "-----BEGIN EC PRIVATE KEY-----\n"
    "MHcCAQEEICh82XzjuLYlr7pqwyX4goT5pFvcLlrSRJguSiiXMnkioAoGCCqGSM49\n"
    "AwEHoUQDQgAEslsMVL6xooRogafZkXcqXERX2Fl4dN3QxFcgcyZpWFyw3rFkHMAP\n"
    "Ss3KN2qKFmTkpEBeyOlU68FV2gXC8coOpQ==\n"
    "-----END EC PRIVATE KEY-----\n";

const char market_tls_other[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIByDCCAW6gAwIBAgIUL3rme0gd2Der1zN6wnsYNR+5pkgwCgYIKoZIzj0EAwIw\n"
    "GTEXMBUGA1UEAwwOc2ltdWxhdGVkIHJvb3QwIBcNMDAwMTAxMDAwMDAwWhgPMjA5\n"
    "OTEyMzEyMzU5NTlaMBoxGDAWBgNVBAMMD3NpbXVsYXRlZCBvdGhlcjBZMBMGByqG\n"
    "SM49AgEGCCqGSM49AwEHA0IABGVFoBOwiPkkdKcPqJB9NZzvozOQm09y+olK5ugv\n"
    "8MH/ib0ZPoXZiLxF/dO7L0Y0rwmi6nmozLrX3tJLqrKy2cyjgZAwgY0wDAYDVR0T\n"
    "AQH/BAIwADAOBgNVHQ8BAf8EBAMCB4AwEwYDVR0lBAwwCgYIKwYBBQUHAwEwGAYD\n"
    "VR0RBBEwD4INb3RoZXIuZXhhbXBsZTAdBgNVHQ4EFgQUw5j92jYOmZ22OBCHA6Sq\n"
    "OvelzJYwHwYDVR0jBBgwFoAUtQarXaalCIvUkQXRArswMsE3NpEwCgYIKoZIzj0E\n"
    "AwIDSAAwRQIhAPE392ueZk3bds+aEFmXelbzWO/1tZp+Mjvp/tYVBpakAiB+LVIM\n"
    "ayDjQstPw91VBRhYxVsWCOyPEIpJvzhPlHNgow==\n"
    "-----END CERTIFICATE-----\n";

const char market_tls_other_key[] =
    "-----BEGIN EC PRIVATE KEY-----\n"
    "MHcCAQEEIEvJWLSagzJV3FCnR9kRq8zyxsuzTRMO8SIneIueLfRWoAoGCCqGSM49\n"
    "AwEHoUQDQgAEZUWgE7CI+SR0pw+okH01nO+jM5CbT3L6iUrm6C/wwf+JvRk+hdmI\n"
    "vEX907svRjSvCaLqeajMutfe0kuqsrLZzA==\n"
    "-----END EC PRIVATE KEY-----\n";
