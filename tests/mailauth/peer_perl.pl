# SPDX-License-Identifier: Apache-2.0
# The same cases for Mail::SPF, Mail::DKIM, Mail::DMARC and Mail::SRS: JSON lines in, JSON lines out. DNS is in the case.
use strict;
use warnings;
our ($case, $now, $sample) = ({}, 0, 0);
BEGIN {
    *CORE::GLOBAL::time = sub () { $main::now };
    *CORE::GLOBAL::rand = sub (;$) { $main::sample };
}

package Postern::Resolver;
use Net::DNS;
sub new { return bless { error => '' }, shift }
sub errorstring { my $self = shift; $self->{error} = shift if @_; return $self->{error} }

sub send {
    my ($self, $name, $type) = @_;
    $type ||= 'A';
    $name =~ s/\.$//;
    my $packet = Net::DNS::Packet->new($name, $type);
    my $node   = $main::case->{zone}{ lc $name };
    my $found  = $node ? $node->{$type} : undef;
    if (defined $found && !ref $found) {
        $packet->header->rcode('SERVFAIL');
        $self->{error} = 'SERVFAIL';
        return $packet;
    }
    $packet->header->rcode($node ? 'NOERROR' : 'NXDOMAIN');
    $self->{error} = $node ? 'NOERROR' : 'NXDOMAIN';
    for my $v (@{ $found || [] }) {
        my %rr = (owner => $name, type => $type, ttl => 60);
        if    ($type eq 'TXT') { $rr{txtdata} = [ $v =~ /(.{1,255})/gs ]; $rr{txtdata} = [''] unless length $v }
        elsif ($type eq 'MX')  { @rr{qw(preference exchange)} = ($v->[0], length $v->[1] ? $v->[1] : '.') }
        elsif ($type eq 'PTR') { $rr{ptrdname} = $v }
        else                   { $rr{address} = $v }
        $packet->push(answer => Net::DNS::RR->new(%rr));
    }
    return $packet;
}

sub query {
    my ($self, @a) = @_;
    my $packet = $self->send(@a);
    return $packet->answer ? $packet : undef;
}

package main;
use JSON::PP;
use MIME::Base64;
use Mail::SPF;
use Mail::DKIM::Signer;
use Mail::DKIM::Verifier;
use Mail::DKIM::PrivateKey;
use Mail::DKIM::ARC::Verifier;
use Mail::DKIM::ARC::Signer;
use Mail::DMARC::PurePerl;
use Mail::SRS;

my $resolver = Postern::Resolver->new;
my $server = Mail::SPF::Server->new(dns_resolver => $resolver, hostname => 'mx.receiver.example', max_void_dns_lookups => 2);
Mail::DKIM::DNS::resolver($resolver);
{
    no warnings 'redefine';
    my $list = '/usr/share/publicsuffix/public_suffix_list.dat';
    *Mail::DMARC::Base::find_psl_file = sub { $list } if -r $list;
}

sub run_spf {
    my $c      = shift;
    my $sender = $c->{sender};
    my $scope  = length $sender ? 'mfrom' : 'helo';
    my $request = eval {
        Mail::SPF::Request->new(scope => $scope, identity => $scope eq 'mfrom' ? $sender : $c->{helo},
            ip_address => $c->{ip}, helo_identity => $c->{helo});
    } or return { result => undef, reason => "$@" };    # it takes no such sender
    my $result = $server->process($request);
    my $answer = { result => $result->code, reason => $result->local_explanation };
    $answer->{explanation} = $result->authority_explanation if $result->can('authority_explanation');
    $answer->{explanation} .= '' if defined $answer->{explanation};
    return $answer;
}

my %words = (invalid => 'permerror');

sub run_dkim {
    my $c = shift;
    my $v = Mail::DKIM::Verifier->new;
    $v->PRINT(decode_base64($c->{message}));
    $v->CLOSE;
    return { result => undef } if grep { $_->result_detail =~ /unsupported algorithm ed25519/ } $v->signatures;    # without CryptX
    return { signatures => [ map { { result => $words{ $_->result } || $_->result, reason => $_->result_detail } } $v->signatures ] };
}

sub run_arc {
    my $c = shift;
    my $v = Mail::DKIM::ARC::Verifier->new(Strict => 0);
    $v->PRINT(decode_base64($c->{message}));
    $v->CLOSE;
    return { result => $words{ $v->result } || $v->result, reason => $v->result_detail };
}

sub key_of {
    my $c = shift;
    my @lines = split /\r?\n/, $c->{key};
    my $ed25519 = ($c->{algorithm} || '') eq 'ed25519-sha256';
    my $data = join '', @lines[ 1 .. $#lines - 1 ];
    $data = encode_base64(substr(decode_base64($data), -32), '') if $ed25519;
    return Mail::DKIM::PrivateKey->load(Data => $data, $ed25519 ? (Type => 'ed25519') : ());
}

sub run_sign {
    my $c = shift;
    my $s = Mail::DKIM::Signer->new(Algorithm => $c->{algorithm}, Method => $c->{canon}, Domain => $c->{domain},
        Selector => $c->{selector}, Key => key_of($c), $c->{headers} ? (Headers => join ':', @{ $c->{headers} }) : ());
    $s->PRINT(decode_base64($c->{message}));
    $s->CLOSE;
    return { result => 'signed', fields => encode_base64($s->signature->as_string . "\r\n", '') };
}

sub run_seal {
    my $c = shift;
    my $text = decode_base64($c->{message});
    my ($id) = split /;/, $c->{results};
    my $s = Mail::DKIM::ARC::Signer->new(Algorithm => 'rsa-sha256', Chain => $c->{chain}, Domain => $c->{domain}, SrvId => $id,
        Selector => $c->{selector}, Key => key_of($c), Headers => join ':', @{ $c->{headers} });
    $s->PRINT("Authentication-Results: $c->{results}\r\n$text");
    $s->CLOSE;
    return { result => 'refused', fields => '' } unless $s->result eq 'sealed';
    return { result => 'signed', fields => encode_base64(join('', map { "$_\r\n" } $s->as_strings), '') };
}

sub run_dmarc {
    my $c = shift;
    return { result => undef } if $c->{walk} || !defined $c->{from_domain};
    my $d = Mail::DMARC::PurePerl->new;
    $d->set_resolver($resolver);
    $d->init;
    $d->header_from($c->{from_domain});
    $d->source_ip('192.0.2.1');
    my @dkim = map { { domain => $_->{domain}, selector => 's', result => $_->{result} } } @{ $c->{dkim} };
    $d->dkim(\@dkim) if @dkim;
    $d->spf([ { domain => $c->{spf}{domain}, scope => 'mfrom', result => $c->{spf}{result} } ]) if $c->{spf};
    $d->validate;
    my $reason = join ' ', map { $_->comment || $_->type } @{ $d->result->reason || [] };
    return { result => $d->result->result, asked => $d->result->disposition, reason => $reason };
}

sub run_srs {
    my $c = shift;
    my $s = Mail::SRS::Guarded->new(Secret => $c->{secret}, MaxAge => $c->{days}, HashLength => $c->{hash}, HashMin => $c->{hash});
    my $address = eval { defined $c->{forward} ? $s->forward($c->{forward}, $c->{domain}) : $s->reverse($c->{reverse}) };
    return { result => defined $address ? 'ok' : 'refused', address => $address, reason => "$@" };
}

my %runs = (spf => \&run_spf, dkim => \&run_dkim, arc => \&run_arc, sign => \&run_sign, seal => \&run_seal, dmarc => \&run_dmarc,
    srs => \&run_srs);
require Mail::SRS::Guarded;
my $json = JSON::PP->new->utf8->allow_nonref->canonical;
my $fast = eval { require JSON::XS; JSON::XS->new->utf8 } || $json;
$SIG{__WARN__} = sub { };
while (my $line = <STDIN>) {
    $case   = $fast->decode($line);
    $now    = $case->{now};
    $sample = $case->{sample} || 0;
    my $run    = $runs{ $case->{do} };
    my $answer = eval { $run ? $run->($case) : { result => undef } } || { result => 'crash', reason => "$@" };
    $answer->{id} = $case->{id};
    print $fast->encode($answer), "\n";
}
