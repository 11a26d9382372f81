/* The floor under every reacting daemon: sleep on a netlink socket and, for each IPv4 address that
 * the kernel announces, send one plain HTTP update and read its answer. No settling, no state, no
 * TLS. bench.py compiles it; usage: floor PORT. Its first request, sent for 0.0.0.0, says "ready". */
#include <arpa/inet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static void send_update(unsigned short port, const char *address)
{
    struct sockaddr_in server = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    char text[256];
    int length = snprintf(text, sizeof text,
                          "GET /nic/update?hostname=floor.example.net&myip=%s HTTP/1.1\r\n"
                          "Host: 127.0.0.1\r\nConnection: close\r\n\r\n", address);
    int connection = socket(AF_INET, SOCK_STREAM, 0);

    if (connect(connection, (struct sockaddr *)&server, sizeof server) == 0
        && write(connection, text, length) == length)
        while (read(connection, text, sizeof text) > 0)
            continue;
    close(connection);
}

static void handle(struct nlmsghdr *message, unsigned short port)
{
    if (message->nlmsg_type != RTM_NEWADDR)
        return;
    struct ifaddrmsg *header = NLMSG_DATA(message);
    int left = IFA_PAYLOAD(message);
    for (struct rtattr *part = IFA_RTA(header); RTA_OK(part, left); part = RTA_NEXT(part, left)) {
        char address[INET_ADDRSTRLEN];
        if (part->rta_type == IFA_LOCAL
            && inet_ntop(AF_INET, RTA_DATA(part), address, sizeof address))
            send_update(port, address);
    }
}

int main(int count, char **arguments)
{
    unsigned short port = count == 2 ? atoi(arguments[1]) : 0;
    struct sockaddr_nl group = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_IPV4_IFADDR };
    int events = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    _Alignas(struct nlmsghdr) char buffer[8192];

    if (port == 0) {
        fprintf(stderr, "usage: floor PORT\n");
        return 64;
    }
    if (bind(events, (struct sockaddr *)&group, sizeof group) != 0) {
        perror("floor: netlink");
        return 71;
    }
    send_update(port, "0.0.0.0");
    for (;;) {
        int left = recv(events, buffer, sizeof buffer, 0);
        if (left < 0) {
            perror("floor: netlink");
            return 71;
        }
        for (struct nlmsghdr *message = (void *)buffer; NLMSG_OK(message, (unsigned)left);
             message = NLMSG_NEXT(message, left))
            handle(message, port);
    }
}
